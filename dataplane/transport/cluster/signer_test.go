package cluster

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

func private(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32))
}

func TestSigner(t *testing.T) {
	c := want()
	c.Allow = []identity.Rule{{Host: "*", Runtime: "*"}}
	s, err := NewSigner(c, "alpha", private(1))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 5)
	certify := func(who int, key byte, at time.Time) identity.Certificate {
		t.Helper()
		b, err := s.Certify(who, "echo", identity.Key{key}, at)
		if err != nil {
			t.Fatal(err)
		}
		is, reason := c.Trust().Check(b, at.Unix())
		if reason != identity.OK {
			t.Fatal(reason)
		}
		return is
	}
	first := certify(1, 1, now)
	if first.Host != "alpha" || first.Runtime != "echo" || first.Key != (identity.Key{1}) ||
		first.NotAfter != now.Add(24*time.Hour).Unix() ||
		first.Incarnation != uint64(now.UnixNano()) {
		t.Errorf("%+v", first)
	}
	later := certify(1, 1, now.Add(time.Hour))
	if later.Incarnation != first.Incarnation || later.NotAfter <= first.NotAfter {
		t.Errorf("renewed: %+v", later)
	}
	second := certify(2, 2, now.Add(-time.Hour)) // the clock was set back
	if second.Incarnation <= first.Incarnation {
		t.Errorf("incarnation %d after %d", second.Incarnation, first.Incarnation)
	}
	if _, err := s.Certify(1, "echo", identity.Key{9}, now); !errors.Is(err, ErrKeyChanged) {
		t.Errorf("a second key: %v", err)
	}
	s.Forget(1)
	if third := certify(1, 9, now); third.Incarnation <= second.Incarnation {
		t.Errorf("after a new start: %+v", third)
	}
	if _, err := s.Certify(3, "a b", identity.Key{3}, now); err == nil {
		t.Error("signed for a name that is none")
	}
	s.Wipe()
	if _, err := s.Certify(1, "echo", identity.Key{9}, now); err == nil {
		t.Error("signed without a key")
	}
}

func TestNewSignerRefuses(t *testing.T) {
	for says, test := range map[string]struct {
		host string
		key  byte
	}{
		`cluster lab has no host "gamma"`: {"gamma", 1},
		"is not among the keys of host":   {"alpha", 9},
		`is that of host "beta", not of`:  {"alpha", 2},
	} {
		if _, err := NewSigner(want(), test.host, private(test.key)); err == nil ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, err := NewSigner(want(), "beta", private(3)); err != nil {
		t.Errorf("the second key of a host: %v", err)
	}
}
