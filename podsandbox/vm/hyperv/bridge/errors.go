package bridge

import (
	"errors"
	"strings"
	"unicode"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/computecore"
)

var (
	// ErrProtocol: the guest said what makes no sense. The connection has ended.
	ErrProtocol = errors.New("the guest service breaks the bridge's protocol")
	// ErrLost: the connection ended by itself, as it does with the VM.
	ErrLost = errors.New("the connection to the guest service is lost")
)

// maxDetail bounds what is quoted of a guest.
const maxDetail = 2000

// failure is the error of a request that the guest refused: a *computecore.Error,
// which errors.Is compares by its HRESULT.
func failure(p procedure, base *answer) error {
	parts := []string{base.ErrorMessage}
	for _, r := range base.ErrorRecords {
		if r.Message != "" && r.Message != base.ErrorMessage {
			parts = append(parts, r.Message)
		}
	}
	detail := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.Trim(strings.Join(parts, "; "), "; "))
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "")
	}
	return &computecore.Error{Call: "guest service: " + p.String(), Result: computecore.HRESULT(uint32(base.Result)), Detail: detail}
}
