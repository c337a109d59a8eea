//go:build windows && wine

// Package standin calls, for tests under Wine, the service that stands in for
// Hyper-V and its network (e2e/windows/hcs) for what no real one does.
package standin

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/windows"
)

// Available tells whether there is one: e2e/windows runs tests with one.
func Available() bool { return os.Getenv("PADDOCK_STANDIN") != "" }

// Call makes one call and returns the answer's text.
func Call(function string, args ...string) (string, error) {
	c, err := request(function, args)
	if err != nil {
		return "", err
	}
	defer c.Close()
	text, err := Answer(c)
	if err != nil {
		return "", fmt.Errorf("%s%q: %w", function, args, err)
	}
	return text, nil
}

// Open makes a call whose connection carries more after its answer.
func Open(function string, args ...string) (net.Conn, error) {
	c, err := request(function, args)
	if err != nil {
		return nil, err
	}
	if _, err := Answer(c); err != nil {
		c.Close()
		return nil, fmt.Errorf("%s%q: %w", function, args, err)
	}
	return c, nil
}

func request(function string, args []string) (net.Conn, error) {
	c, err := net.Dial("tcp", os.Getenv("PADDOCK_STANDIN"))
	if err != nil {
		return nil, err
	}
	request := strings.Join(append([]string{"", function}, args...), "\x00") + "\x00"
	if _, err := c.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(request))), request...)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Answer reads an answer's text; a refusal is a windows.Errno.
func Answer(c net.Conn) (string, error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(c, head); err != nil {
		return "", err
	}
	text := make([]byte, binary.LittleEndian.Uint32(head[4:]))
	if _, err := io.ReadFull(c, text); err != nil {
		return "", err
	}
	if code := binary.LittleEndian.Uint32(head); code != 0 {
		return "", fmt.Errorf("0x%08x %s: %w", code, text, windows.Errno(code))
	}
	return string(text), nil
}

// Left is what the service still has: systems, grants, endpoints, namespaces.
func Left() ([]string, error) {
	text, err := Call("TestLeft")
	if err != nil {
		return nil, err
	}
	var all []string
	return all, json.Unmarshal([]byte(text), &all)
}
