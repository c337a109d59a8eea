package winspec

import (
	"fmt"
	"strings"
)

// The accounts that every Windows container has.
const (
	Administrator = "ContainerAdministrator"
	User          = "ContainerUser"
)

// accounts are the names by which those are known, in small letters and without domain.
var accounts = map[string]string{
	"":                       Administrator,
	"containeradministrator": Administrator,
	"administrator":          Administrator,
	"system":                 Administrator,
	"localsystem":            Administrator,
	"containeruser":          User,
	"local service":          User,
	"localservice":           User,
	"network service":        User,
	"networkservice":         User,
}

// Account finds the account of a name, which may have a domain: "User
// Manager\ContainerUser", "NT AUTHORITY\SYSTEM". Others an image may have made:
// they are in its registry, and cannot be used here.
func Account(name string) (string, error) {
	plain := name
	if i := strings.LastIndexByte(name, '\\'); i >= 0 {
		plain = name[i+1:]
	}
	account, ok := accounts[strings.ToLower(plain)]
	if !ok {
		return "", fmt.Errorf("%w: user %q: only %s and %s, and the system's own accounts, can run containers under Wine", ErrInvalid, name, Administrator, User)
	}
	return account, nil
}
