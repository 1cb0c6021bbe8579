package swarm

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// keyring makes the keys and certificates of all hosts and lives, the same in every run. It keeps
// them: signing takes longer than many frames.
type keyring struct {
	hosts [MaxHosts]ed25519.PrivateKey
	trust *identity.Trust
	made  map[uint64]credentials // by host and life; looked up, never walked
}

// credentials are what an incarnation proves who it is with.
type credentials struct {
	private     [32]byte
	public      identity.Key
	certificate []byte
}

const cluster = "sim"

func newKeyring() keyring {
	k := keyring{
		trust: &identity.Trust{Cluster: cluster},
		made:  map[uint64]credentials{},
	}
	draw := rand.NewChaCha8([32]byte{'k', 'e', 'y', 's'})
	for i := range k.hosts {
		host, err := identity.NewHostKey(draw)
		if err != nil {
			panic("swarm: a host's key cannot be made: " + err.Error())
		}
		k.hosts[i] = host
		k.trust.Hosts = append(k.trust.Hosts, identity.Host{
			Name: hostName(i), Keys: []ed25519.PublicKey{host.Public().(ed25519.PublicKey)},
		})
		k.trust.Allow = append(k.trust.Allow, identity.Rule{
			Host: hostName(i), Runtime: identity.Anybody,
		})
	}
	return k
}

// of is the credentials of a host in one of its lives.
func (k *keyring) of(host int, life uint32) credentials {
	at := uint64(host)<<32 | uint64(life)
	c, ok := k.made[at]
	if !ok {
		c = k.make(host, life)
		k.made[at] = c
	}
	return c
}

func (k *keyring) make(host int, life uint32) (c credentials) {
	draw := &stream{}
	draw.pcg.Seed(uint64(host), uint64(life))
	draw.Read(c.private[:])
	private, err := ecdh.X25519().NewPrivateKey(c.private[:])
	if err == nil {
		copy(c.public[:], private.PublicKey().Bytes())
		certificate := identity.Certificate{
			Cluster: cluster, Host: hostName(host), Runtime: "swarm", Incarnation: uint64(life),
			Key: c.public, Roles: identity.RoleRuntime, NotAfter: 1 << 40,
		}
		c.certificate, err = certificate.Sign(k.hosts[host])
	}
	if err != nil {
		panic(fmt.Sprintf("swarm: credentials of host %d, life %d: %v", host, life, err))
	}
	return c
}
