package attach

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dunlin-io/dunlin/dataplane/transport/cluster"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// Identity is what a runtime proves to runtimes of other hosts, and whom it believes. The private
// key was made here and has not left this process.
type Identity struct {
	Private     [identity.KeyBytes]byte // X25519
	Public      identity.Key
	Certificate []byte // for Public, signed by this host
	Is          identity.Certificate
	Cluster     *cluster.Cluster // Trust() is whom to believe; Hosts are where they are
}

// Wipe forgets the private key.
func (i *Identity) Wipe() { clear(i.Private[:]) }

// certifier is a Door whose iokernel signs.
type certifier interface {
	Certify(key []byte) (control.Certified, *os.File, error)
}

// Identity makes a key and has the iokernel sign it. There is one for each attachment; ask again
// for the same with Renew, before Is.NotAfter.
func (rt *Runtime) Identity() (*Identity, error) {
	i := new(Identity)
	if _, err := rand.Read(i.Private[:]); err != nil {
		return nil, rt.identityError(err)
	}
	key, err := ecdh.X25519().NewPrivateKey(i.Private[:])
	if err != nil {
		return nil, rt.identityError(err)
	}
	copy(i.Public[:], key.PublicKey().Bytes())
	if err := rt.Renew(i); err != nil {
		i.Wipe()
		return nil, err
	}
	return i, nil
}

// Renew has the iokernel sign again, for another day, and reads what the cluster file says now.
func (rt *Runtime) Renew(i *Identity) error {
	door, ok := rt.door.(certifier)
	if !ok {
		return rt.identityError(errors.New("this iokernel signs no certificates"))
	}
	signed, file, err := door.Certify(i.Public[:])
	if err != nil {
		return rt.identityError(err)
	}
	defer file.Close()
	return rt.identityError(i.take(signed, file))
}

func (rt *Runtime) identityError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("attach %s: identity: %w", rt.o.Name, err)
}

// maxClusterBytes bounds what is read of a cluster file; it has a limit of its own.
const maxClusterBytes = 1 << 20

// take reads what the iokernel handed out, and looks whether peers would believe it.
func (i *Identity) take(signed control.Certified, file *os.File) error {
	if signed.ClusterBytes < 0 || signed.ClusterBytes > maxClusterBytes {
		return fmt.Errorf("the iokernel hands out a cluster file of %d bytes", signed.ClusterBytes)
	}
	text := make([]byte, signed.ClusterBytes)
	if _, err := file.ReadAt(text, 0); err != nil {
		return fmt.Errorf("read the cluster file: %w", err)
	}
	all, err := cluster.Parse("cluster file of the iokernel", text)
	if err != nil {
		return err
	}
	is, reason := all.Trust().Check(signed.Certificate, time.Now().Unix())
	switch {
	case reason == identity.ReasonAllow:
		return errors.New("the cluster file's allow list has no rule for this runtime, so nobody " +
			"would talk to it")
	case reason != identity.OK:
		return fmt.Errorf("the iokernel's certificate is no good: %v", reason)
	case is.Key != i.Public:
		return errors.New("the iokernel's certificate is for another key")
	}
	i.Certificate, i.Is, i.Cluster = signed.Certificate, is, all
	return nil
}
