package load

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach/sessions"
	"github.com/dunlin-io/dunlin/dataplane/transport/cluster"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/xdp"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// Shape of an end that takes frames of any length.
const (
	portChunks = 4096
	portRing   = 1024
	portBytes  = portChunks * dataplane.MaxChunkBytes
)

func portSizes() sock.Sizes {
	return sock.Sizes{Fill: portRing, Completion: 2 * portRing, Rx: portRing, Tx: portRing}
}

// portEnd is an AF_XDP socket with a port and a pool over it.
type portEnd struct {
	socket *sock.Socket
	memory *mem.Memory
	pool   *dataplane.Pool
	cache  *dataplane.Cache
	port   *dataplane.Port
}

// newPortEnd lays them over a socket and its memory.
func newPortEnd(s *sock.Socket, m *mem.Memory) (e portEnd, err error) {
	e.socket, e.memory = s, m
	e.pool, err = dataplane.NewPool(m.Bytes, dataplane.PoolConfig{
		ChunkBytes: dataplane.MaxChunkBytes, Caches: 1,
	})
	if err != nil {
		return e, err
	}
	if e.cache, err = e.pool.Cache(); err != nil {
		return e, err
	}
	e.port, err = s.Port(e.cache, dataplane.PortConfig{FillChunks: portRing})
	return e, err
}

// openBuffers opens the socket of an end for frames of several buffers.
func (s *site) openBuffers(p *lab.Pair, side lab.Side) (
	socket *xdp.Socket, m *mem.Memory, err error,
) {
	program, err := bpf.LoadRedirect(1, true)
	if err != nil {
		return nil, nil, err
	}
	s.atClose(program.Close)
	if m, err = mem.Create("dunlin-bench", portBytes); err != nil {
		return nil, nil, err
	}
	s.atClose(m.Close)
	err = s.lab.In(side, func() error {
		i, err := xdp.Open(xdp.Options{
			Interface: p.Ends[side].Name, Program: program, Frags: true,
		})
		if err != nil {
			return err
		}
		s.atClose(func() error { return s.lab.In(side, i.Close) })
		socket, err = i.OpenSocket(0, m.Bytes, xdp.SocketOptions{
			Name: "bench", Rings: portSizes(),
		})
		if err != nil {
			return err
		}
		return i.Register(socket, 0)
	})
	return socket, m, err
}

// The hosts of the cluster that all rows with certificates share: the generator's and the servers'.
const (
	clientHost = "client"
	serverHost = "server"
	certLife   = 24 * time.Hour // (guess: longer than any run)
)

// trust is the cluster that the iokernels of the servers are in, and the client's host key.
type trust struct {
	file, key string // paths: of the cluster file, and of the server's host key
	cluster   *cluster.Cluster
	client    ed25519.PrivateKey
}

// makeTrust writes the files.
func (s *site) makeTrust() (*trust, error) {
	if s.trust != nil {
		return s.trust, nil
	}
	text, err := cluster.New("bench")
	if err != nil {
		return nil, err
	}
	t := &trust{file: filepath.Join(s.dir, "cluster.yaml"), key: filepath.Join(s.dir, "host.key")}
	for _, name := range []string{clientHost, serverHost} {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
		text, err = cluster.AddHost(t.file, text, cluster.Host{
			Name: name, Keys: []ed25519.PublicKey{public},
		})
		if err != nil {
			return nil, err
		}
		if name == clientHost {
			t.client = private
			continue
		}
		secret, err := identity.EncodeHostKey(private)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(t.key, secret, 0o400); err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
	}
	if err := os.WriteFile(t.file, text, 0o644); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if t.cluster, err = cluster.Parse(t.file, text); err != nil {
		return nil, err
	}
	s.trust = t
	return t, nil
}

// configure puts an iokernel into the cluster.
func (t *trust) configure(c *config.Config) {
	c.Cluster.File, c.Cluster.Host, c.Cluster.Key = t.file, serverHost, t.key
}

// certify is what the client proves.
func (t *trust) certify() (c handshake.Config, err error) {
	if _, err := rand.Read(c.Private[:]); err != nil {
		return c, fmt.Errorf("load: %w", err)
	}
	key, err := ecdh.X25519().NewPrivateKey(c.Private[:])
	if err != nil {
		return c, fmt.Errorf("load: %w", err)
	}
	is := identity.Certificate{
		Cluster: t.cluster.Name, Host: clientHost, Runtime: "client", Incarnation: 1,
		Key: identity.Key(key.PublicKey().Bytes()), Roles: identity.RoleRuntime,
		NotAfter: time.Now().Add(certLife).Unix(),
	}
	c.Certificate, err = is.Sign(t.client)
	c.Trust, c.Random = t.cluster.Trust(), rand.Reader
	c.Unix = time.Now().UnixNano() - int64(pin.NewClock().Now())
	return c, err
}

// newRPCClient is the generator's end of sessions with a server.
func (s *site) newRPCClient(p *lab.Pair, mtu int, insecure bool, key identity.Key) (
	*rpcClient, error,
) {
	socket, memory, err := s.openBuffers(p, lab.A)
	if err != nil {
		return nil, err
	}
	end, err := newPortEnd(socket.Socket, memory)
	if err != nil {
		return nil, err
	}
	var who handshake.Config
	if insecure {
		who, err = sessions.Throwaway("client")
	} else {
		var t *trust
		if t, err = s.makeTrust(); err == nil {
			who, err = t.certify()
		}
	}
	if err != nil {
		return nil, err
	}
	from, to := wire.MAC(p.Ends[lab.A].MAC), wire.MAC(p.Ends[lab.B].MAC)
	c, err := newRPCClient(end, from, to, mtu, who, key)
	if err != nil {
		return nil, err
	}
	s.atClose(func() error { c.close(); return nil })
	return c, nil
}

// readKey waits for what a server says first.
func readKey(c *child) (key identity.Key, err error) {
	said := make(chan error, 1)
	go func() {
		var b [identity.KeyBytes]byte
		_, err := io.ReadFull(c.out, b[:])
		copy(key[:], b[:])
		said <- err
	}()
	select {
	case err = <-said:
	case <-c.ended:
		return key, c.alive()
	case <-time.After(answerPatience):
		return key, fmt.Errorf("load: %s does not say its key within %v", c.name, answerPatience)
	}
	if err == nil && bytes.Equal(key[:], make([]byte, len(key))) {
		err = fmt.Errorf("load: %s says a key of zeros", c.name)
	}
	return key, err
}
