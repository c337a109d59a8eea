package hcs

import (
	"encoding/json"
	"fmt"
)

// result is an HRESULT.
type result uint32

// Results of the real service for what is wrong here.
const (
	ok                  result = 0
	invalidHandle       result = 0x80070006
	accessDenied        result = 0x80070005
	fileNotFound        result = 0x80070002
	invalidArgument     result = 0x80070057
	outOfMemory         result = 0x8007000E
	notFound            result = 0x80070490
	cancelled           result = 0x800704C7
	unspecified         result = 0x80004005
	operationTimeout    result = 0x80370118
	operationNotStarted result = 0x80370116
	operationStarted    result = 0x80370117
	operationPending    result = 0xC0370103
	invalidState        result = 0xC0370105
	unknownMessage      result = 0xC037010B
	invalidJSON         result = 0xC037010D
	systemNotFound      result = 0xC037010E
	systemExists        result = 0xC037010F
	systemStopped       result = 0xC0370110
)

// refusal is a call's failure, with what the service says of it.
type refusal struct {
	code result
	why  string
}

func (r *refusal) Error() string { return fmt.Sprintf("0x%08X: %s", uint32(r.code), r.why) }

// document is the result document of the failure.
func (r *refusal) document() string {
	b, _ := json.Marshal(map[string]any{"Error": int32(r.code), "ErrorMessage": r.why})
	return string(b)
}

func refuse(code result, format string, args ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, args...)}
}
