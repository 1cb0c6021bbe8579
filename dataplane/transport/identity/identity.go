// Package identity says who a runtime is: a certificate that the iokernel of its host has signed,
// and what a peer demands of one.
//
//	host's Ed25519 key ──signs──> certificate: cluster, host, runtime, incarnation, X25519 key,
//	        │                                  roles, end
//	        └─ public half, pinned in the cluster file ──> Trust.Check at the peer
//
// A runtime makes its X25519 key when it starts and proves in the handshake that it holds it; the
// iokernel has checked who asked (uid, policy) before it signed. So a runtime speaks for itself and
// for nobody else, and the host's key never leaves the host.
//
// The package is pure: no files, no clock, no randomness of its own. Nothing is shared between
// calls; a Trust is not changed after it was made and may be read by any goroutine.
package identity

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

// KeyBytes is the size of a public key, X25519 or Ed25519.
const KeyBytes = 32

// Key is a runtime's X25519 public key.
type Key [KeyBytes]byte

// MaxNameBytes bounds the names of clusters, hosts and runtimes. Origin: a DNS label.
const MaxNameBytes = 63

// CheckName says what is wrong with a name: 1 to 63 letters, digits, '-', '_' and '.'.
func CheckName(name string) error {
	if name == "" || len(name) > MaxNameBytes {
		return fmt.Errorf("a name has 1 to %d characters, this has %d", MaxNameBytes, len(name))
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			return fmt.Errorf("%q may not stand in a name; letters, digits, '-', '_' and '.' may",
				name[i])
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '_' || c == '.'
}

// Roles are what a runtime may be to its peers, as bits. A bit that this version does not know is
// carried and means nothing.
type Roles uint16

// RoleRuntime is an application: it may open sessions and answer them. Every certificate has it.
const RoleRuntime Roles = 1 << 0

// Certificate is what a host says about one of its runtimes.
type Certificate struct {
	Cluster     string
	Host        string
	Runtime     string
	Incarnation uint64 // rises with every start of a runtime on its host
	Key         Key    // that the runtime holds the private half of
	Roles       Roles
	NotAfter    int64 // last second in which it holds, since 1970
}

func (c *Certificate) String() string {
	return fmt.Sprintf("%s/%s of cluster %s, incarnation %d", c.Host, c.Runtime, c.Cluster,
		c.Incarnation)
}

// errRoles and the others are a caller's mistakes.
var (
	errRoles = errors.New("identity: a certificate needs the role of a runtime")
	errKey   = errors.New("identity: not an Ed25519 private key")
)

// Sign writes c down and signs it with the key of its host.
func (c *Certificate) Sign(host ed25519.PrivateKey) ([]byte, error) {
	for _, n := range [...]struct{ what, name string }{
		{"cluster", c.Cluster}, {"host", c.Host}, {"runtime", c.Runtime},
	} {
		if err := CheckName(n.name); err != nil {
			return nil, fmt.Errorf("identity: %s %q: %w", n.what, n.name, err)
		}
	}
	switch {
	case c.Roles&RoleRuntime == 0:
		return nil, errRoles
	case len(host) != ed25519.PrivateKeySize:
		return nil, errKey
	}
	b := c.encode()
	return append(b, ed25519.Sign(host, signed(b))...), nil
}
