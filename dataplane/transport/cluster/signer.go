package cluster

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
)

// CertificateLife is how long a certificate holds. A runtime asks again at two thirds of it; one
// that was stolen together with its key is worth that much. (guess)
const CertificateLife = 24 * time.Hour

// ErrKeyChanged is for a runtime that asks for a second key: a new key takes a new start.
var ErrKeyChanged = errors.New("cluster: it has a certificate for another key already")

// Signer signs for the runtimes of one host. Its methods may be called from several goroutines.
type Signer struct {
	cluster string
	host    string

	mu     sync.Mutex
	key    ed25519.PrivateKey
	last   uint64 // incarnation
	issued map[any]issued
	life   time.Duration
}

// issued is what somebody has been given.
type issued struct {
	key         identity.Key
	incarnation uint64
}

// NewSigner makes a signer for a host whose public key stands in the cluster file. The key is the
// signer's from then on.
func NewSigner(c *Cluster, host string, key ed25519.PrivateKey) (*Signer, error) {
	h := c.Host(host)
	public := key.Public().(ed25519.PublicKey)
	switch is := c.Signer(public); {
	case h == nil:
		return nil, fmt.Errorf("cluster %s has no host %q", c.Name, host)
	case is == "":
		return nil, fmt.Errorf("the host key's public half, %s, is not among the keys of host %q "+
			"in the cluster file", identity.FormatPublicKey(public), host)
	case is != host:
		return nil, fmt.Errorf("the host key is that of host %q, not of %q", is, host)
	}
	return &Signer{
		cluster: c.Name, host: host, key: key, issued: map[any]issued{}, life: CertificateLife,
	}, nil
}

// Certify signs that who, a name of the caller's for an attached process, is that runtime and holds
// that key. Who asks again gets the same incarnation and a later end; whoever comes new gets a
// higher incarnation than anybody before, by the time of day.
func (s *Signer) Certify(who any, runtime string, key identity.Key, now time.Time) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is, again := s.issued[who]
	switch {
	case s.key == nil:
		return nil, errors.New("cluster: the host key is gone")
	case again && is.key != key:
		return nil, ErrKeyChanged
	case !again:
		s.last = max(s.last+1, uint64(max(0, now.UnixNano())))
		is = issued{key, s.last}
	}
	c := identity.Certificate{
		Cluster: s.cluster, Host: s.host, Runtime: runtime, Incarnation: is.incarnation,
		Key: key, Roles: identity.RoleRuntime, NotAfter: now.Add(s.life).Unix(),
	}
	signed, err := c.Sign(s.key)
	if err == nil {
		s.issued[who] = is
	}
	return signed, err
}

// SetLife has certificates hold for so long from now on, instead of CertificateLife.
func (s *Signer) SetLife(life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = life
}

// Forget is for who has gone.
func (s *Signer) Forget(who any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.issued, who)
}

// Issued is how many have a certificate and have not gone.
func (s *Signer) Issued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.issued)
}

// Wipe forgets the key.
func (s *Signer) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.key)
	s.key = nil
}
