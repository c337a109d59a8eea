package config

import (
	"os"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

// Both hosts' defaults name every key, and none that the other lacks.
func TestHostsHaveTheSameKeys(t *testing.T) {
	var all [][]string
	for _, file := range []string{"default.yaml", "default_windows.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(data, new(Config)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		var tree map[string]any
		if err := yaml.Unmarshal(data, &tree); err != nil {
			t.Fatal(err)
		}
		keys := keysOf("", tree)
		slices.Sort(keys)
		all = append(all, keys)
	}
	if !slices.Equal(all[0], all[1]) {
		t.Errorf("Linux has %q\nWindows has %q", all[0], all[1])
	}
}

func keysOf(prefix string, tree map[string]any) []string {
	var keys []string
	for key, value := range tree {
		if below, ok := value.(map[string]any); ok {
			keys = append(keys, keysOf(prefix+key+".", below)...)
			continue
		}
		keys = append(keys, prefix+key)
	}
	return keys
}
