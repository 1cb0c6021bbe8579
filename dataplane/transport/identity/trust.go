package identity

import (
	"crypto/ed25519"
	"slices"
)

// Host is a host of the cluster, with the keys that may sign for its runtimes: one, or two while it
// changes its key.
type Host struct {
	Name string
	Keys []ed25519.PublicKey
}

// Anybody as a name in a Rule stands for every name.
const Anybody = "*"

// Rule allows runtimes of that name on that host to talk to us.
type Rule struct {
	Host    string
	Runtime string
}

// Trust is whom a runtime talks to: what the cluster file says. Nobody whom it does not allow.
type Trust struct {
	Cluster string
	Hosts   []Host
	Allow   []Rule
}

// Check parses a certificate and says whether its bearer may talk to us at that time, in seconds
// since 1970. The cheap questions come first, the signature (about 50 us) last.
func (t *Trust) Check(b []byte, seconds int64) (Certificate, Reason) {
	c, reason := Parse(b)
	if reason != OK {
		return Certificate{}, reason
	}
	if c.Cluster != t.Cluster {
		return Certificate{}, ReasonCluster
	}
	host := slices.IndexFunc(t.Hosts, func(h Host) bool { return h.Name == c.Host })
	if host < 0 {
		return Certificate{}, ReasonHost
	}
	if c.NotAfter < seconds {
		return Certificate{}, ReasonExpired
	}
	if !slices.ContainsFunc(t.Allow, func(r Rule) bool {
		return (r.Host == Anybody || r.Host == c.Host) &&
			(r.Runtime == Anybody || r.Runtime == c.Runtime)
	}) {
		return Certificate{}, ReasonAllow
	}
	body, signature := b[:len(b)-ed25519.SignatureSize], b[len(b)-ed25519.SignatureSize:]
	message := signed(body)
	for _, key := range t.Hosts[host].Keys {
		if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature) {
			return c, OK
		}
	}
	return Certificate{}, ReasonSignature
}
