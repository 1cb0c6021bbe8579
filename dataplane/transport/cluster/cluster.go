// Package cluster is the cluster file: which hosts there are, where they are, which keys may sign
// for their runtimes, and which runtimes may talk. Every host has the same file; it holds no
// secret.
//
//	dunlin cluster init, add-host ──> file ──Parse──> Cluster ──Trust──> handshakes check peers
//	                                                     └─ Host ──> where to send
//
// The file is strict YAML: an unknown or repeated key, a value of the wrong form or a second
// document is an error, and all mistakes of one kind are reported at once. It grows by AddHost at
// its end, so that comments stay.
//
// The package is pure: bytes in, values or bytes out. goccy/go-yaml is here for the same reason as
// in iokernel/config: its errors have a line and a column.
package cluster

import (
	"crypto/ed25519"
	"net/netip"
	"slices"

	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// Limits of a file. (guesses: far beyond what a certificate check may search at each handshake)
const (
	MaxHosts     = 1024
	MaxAllow     = 256
	MaxKeys      = 2 // of a host: the one that it has and the one that it changes to
	MaxAddresses = 8 // of a host, of each kind
	maxFileBytes = 1 << 20
	maxDepth     = 16 // brackets within brackets; the deepest key is at 3
)

// Cluster is what a file says.
type Cluster struct {
	Name  string
	Allow []identity.Rule
	Hosts []Host
}

// Host is a machine with an iokernel.
type Host struct {
	Name string
	Keys []ed25519.PublicKey
	Raw  []wire.MAC       // interfaces that take raw frames
	UDP  []netip.AddrPort // endpoints that take frames in UDP
}

// Trust is whom runtimes of this cluster talk to.
func (c *Cluster) Trust() *identity.Trust {
	t := &identity.Trust{Cluster: c.Name, Allow: slices.Clone(c.Allow)}
	for _, h := range c.Hosts {
		t.Hosts = append(t.Hosts, identity.Host{Name: h.Name, Keys: slices.Clone(h.Keys)})
	}
	return t
}

// Host finds a host by its name, or nil.
func (c *Cluster) Host(name string) *Host {
	for i := range c.Hosts {
		if c.Hosts[i].Name == name {
			return &c.Hosts[i]
		}
	}
	return nil
}

// Signer is the name of the host that has pinned that key; empty if none has.
func (c *Cluster) Signer(key ed25519.PublicKey) string {
	for _, h := range c.Hosts {
		if slices.ContainsFunc(h.Keys, func(k ed25519.PublicKey) bool { return k.Equal(key) }) {
			return h.Name
		}
	}
	return ""
}
