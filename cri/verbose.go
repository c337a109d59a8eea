package cri

import "encoding/json"

// toJSON is a value of a verbose answer's info. What cannot be encoded is told instead of it.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
