package networktest

import (
	"testing"

	"github.com/paddock-run/paddock/network"
)

func TestFake(t *testing.T) {
	fake := new(Fake)
	Run(t, Env{Open: func(*testing.T) network.Network { return fake }})
}
