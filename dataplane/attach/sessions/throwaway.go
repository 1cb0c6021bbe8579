package sessions

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"time"

	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// random is the system's randomness.
type random struct{}

func (random) Read(b []byte) (int, error) { return rand.Read(b) }

// insecureName is the cluster and host of all who measure without encryption.
const insecureName = "insecure"

// throwawayLife is how long a certificate lasts that is worth nothing. (guess: the longest run)
const throwawayLife = 24 * time.Hour

// Throwaway is an identity that proves nothing: a new key, certified with one that everybody knows.
// Sessions of such runtimes are not encrypted. Nobody whose iokernel has a cluster talks to them.
func Throwaway(name string) (handshake.Config, error) {
	host := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	trust := &identity.Trust{
		Cluster: insecureName,
		Hosts: []identity.Host{{
			Name: insecureName, Keys: []ed25519.PublicKey{host.Public().(ed25519.PublicKey)},
		}},
		Allow: []identity.Rule{{Host: insecureName, Runtime: identity.Anybody}},
	}
	var private [identity.KeyBytes]byte
	if _, err := rand.Read(private[:]); err != nil {
		return handshake.Config{}, err
	}
	key, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return handshake.Config{}, err
	}
	is := identity.Certificate{
		Cluster: insecureName, Host: insecureName, Runtime: name, Incarnation: 1,
		Key: identity.Key(key.PublicKey().Bytes()), Roles: identity.RoleRuntime,
		NotAfter: time.Now().Add(throwawayLife).Unix(),
	}
	certificate, err := is.Sign(host)
	if err != nil {
		return handshake.Config{}, err
	}
	c := fill(private, certificate, trust)
	c.Insecure = true
	return c, nil
}
