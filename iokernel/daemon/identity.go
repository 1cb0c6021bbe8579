package daemon

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/dataplane/transport/cluster"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// identities is what the daemon needs to sign who its runtimes are.
type identities struct {
	signer *cluster.Signer
	file   *mem.Memory // the cluster file as it was read, for runtimes
	bytes  int
}

// openCluster reads the cluster file and the host key, if the configuration names them.
func (d *Daemon) openCluster() error {
	c := &d.o.Config.Cluster
	if c.File == "" {
		return nil
	}
	signer, text, err := loadCluster(c)
	if err != nil {
		return fmt.Errorf("iokernel: %w", err)
	}
	page := os.Getpagesize()
	file, err := mem.Publish("dunlin-cluster", (len(text)+page-1)/page*page)
	if err != nil {
		signer.Wipe()
		return err
	}
	copy(file.Bytes, text)
	d.signing = &identities{signer, file, len(text)}
	d.log.Info("iokernel: signs who its runtimes are", "cluster", c.File, "host", c.Host)
	return nil
}

// CheckCluster says whether a daemon could start with what c names.
func CheckCluster(c *config.Cluster) error {
	if c.File == "" {
		return nil
	}
	signer, _, err := loadCluster(c)
	if err == nil {
		signer.Wipe()
	}
	return err
}

// loadCluster reads both files and looks whether they belong together.
func loadCluster(c *config.Cluster) (s *cluster.Signer, text []byte, err error) {
	if text, err = os.ReadFile(c.File); err != nil {
		return nil, nil, fmt.Errorf("cluster.file: %w", err)
	}
	all, err := cluster.Parse(c.File, text)
	if err != nil {
		return nil, nil, fmt.Errorf("cluster.file: %w", err)
	}
	key, err := readHostKey(c.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("cluster.key: %s: %w", c.Key, err)
	}
	if s, err = cluster.NewSigner(all, c.Host, key); err != nil {
		clear(key)
		return nil, nil, fmt.Errorf("cluster.host: %s and %s: %w", c.File, c.Key, err)
	}
	return s, text, nil
}

func readHostKey(name string) (ed25519.PrivateKey, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return identity.ReadHostKey(f)
}

// closeCluster forgets the key.
func (d *Daemon) closeCluster() error {
	if d.signing == nil {
		return nil
	}
	d.signing.signer.Wipe()
	return d.signing.file.Close()
}

// certify signs the public key of an attached runtime, for the name that it is attached under.
func (d *Daemon) certify(by owner, key []byte) (control.Certified, *os.File, error) {
	d.mu.Lock()
	a := d.attached[by]
	d.mu.Unlock()
	switch {
	case a == nil:
		return control.Certified{}, nil, control.Refuse(control.CodeOrder, "attach first")
	case d.signing == nil:
		return control.Certified{}, nil, control.Refuse(control.CodeDenied, "no cluster is "+
			"configured, so runtimes get no certificates: set cluster.file, cluster.host and "+
			"cluster.key of the iokernel (dunlin cluster makes the files)")
	case len(key) != identity.KeyBytes:
		return control.Certified{}, nil, control.Refuse(control.CodeMalformed, "a public key has "+
			"%d bytes, not %d", identity.KeyBytes, len(key))
	}
	i := d.signing
	c, err := i.signer.Certify(by, a.config.Name, identity.Key(key), time.Now())
	if errors.Is(err, cluster.ErrKeyChanged) {
		err = control.Refuse(control.CodeDenied, "runtime %s has a certificate for another key "+
			"already: attach again for a new one", a.config.Name)
	}
	if err != nil {
		return control.Certified{}, nil, err
	}
	return control.Certified{Certificate: c, ClusterBytes: i.bytes}, i.file.File(), nil
}

// forgetIdentity is for who has detached.
func (d *Daemon) forgetIdentity(by owner) {
	if d.signing != nil {
		d.signing.signer.Forget(by)
	}
}

// Certify makes the handler a control.Certifier.
func (h handler) Certify(_ context.Context, s *control.Session, key []byte) (
	control.Certified, *os.File, error,
) {
	return h.d.certify(s, key)
}

// Certify is the solo application's: here iokernel and runtime share a process, so whoever has
// taken over the one has the host key too.
func (p *door) Certify(key []byte) (control.Certified, *os.File, error) {
	c, file, err := p.d.certify(p, key)
	if err != nil {
		return control.Certified{}, nil, err
	}
	file, err = duplicate(file)
	return c, file, err
}
