package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

func TestReports(t *testing.T) {
	results := Run(context.Background(), []Check{
		{"first", func(context.Context) Result { return Result{Detail: "here"} }},
		{"second", func(context.Context) Result { return Result{Level: Fail, Detail: "gone", Fix: "bring it"} }},
	})
	if !Failed(results) {
		t.Error("a failed check is not reported as failed")
	}
	if Failed(results[:1]) {
		t.Error("a passed check is reported as failed")
	}
	var table, js bytes.Buffer
	if err := WriteTable(&table, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ok", "first", "FAIL", "fix: bring it"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("table lacks %q:\n%s", want, table.String())
		}
	}
	if err := WriteJSON(&js, results); err != nil {
		t.Fatal(err)
	}
	var back []map[string]string
	if err := json.Unmarshal(js.Bytes(), &back); err != nil || back[1]["level"] != "fail" || back[0]["name"] != "first" {
		t.Errorf("JSON: %v, %s", err, js.String())
	}
}
