package courier

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// atOnce solves on the spot.
type atOnce struct{ done []*handshake.Job }

func (a *atOnce) Submit(j *handshake.Job) bool {
	j.Run()
	a.done = append(a.done, j)
	return true
}

func (a *atOnce) Solved() *handshake.Job {
	if len(a.done) == 0 {
		return nil
	}
	j := a.done[0]
	a.done = a.done[1:]
	return j
}

func cache(t *testing.T) *dataplane.Cache {
	t.Helper()
	p, err := dataplane.NewPool(make([]byte, 512*2048), dataplane.PoolConfig{
		ChunkBytes: 2048, Caches: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Cache()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTwoRuntimesCallEachOther runs two workers over a wire in memory.
func TestTwoRuntimesCallEachOther(t *testing.T) {
	host, err := identity.NewHostKey(rand.NewChaCha8([32]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	trust := &identity.Trust{
		Cluster: "lab",
		Hosts: []identity.Host{
			{Name: "alpha", Keys: []ed25519.PublicKey{host.Public().(ed25519.PublicKey)}},
		},
		Allow: []identity.Rule{{Host: "alpha", Runtime: identity.Anybody}},
	}
	caches := [2]*dataplane.Cache{cache(t), cache(t)}
	w, err := memlink.New(caches[0], caches[1], memlink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*transport.Endpoint
	var keys [2]identity.Key
	hosts := core.NewHost()
	replies, up := 0, false
	for i, link := range [2]*memlink.End{w.A(), w.B()} {
		private := [32]byte{1, byte(i)}
		k, _ := ecdh.X25519().NewPrivateKey(private[:])
		copy(keys[i][:], k.PublicKey().Bytes())
		c := identity.Certificate{
			Cluster: "lab", Host: "alpha", Runtime: "r", Incarnation: 1, Key: keys[i],
			Roles: identity.RoleRuntime, NotAfter: 1 << 40,
		}
		signed, err := c.Sign(host)
		if err != nil {
			t.Fatal(err)
		}
		ends[i], err = transport.New(transport.Config{Handshake: handshake.Config{
			Private: private, Certificate: signed, Trust: trust,
			Random: rand.NewChaCha8([32]byte{byte(i)}), Unix: 1_800_000_000 * int64(core.Second),
		}})
		if err != nil {
			t.Fatal(err)
		}
		worker, err := dataplane.NewWorker(link, caches[i], dataplane.WorkerConfig{
			MAC: wire.MAC{2, 0, 0, 0, 0, byte(i)},
		})
		if err != nil {
			t.Fatal(err)
		}
		e := ends[i]
		courier, err := New(e, worker, 0, &atOnce{}, func(now core.Time, ev transport.Event) {
			switch ev.Kind {
			case transport.EventRequest:
				if err := e.Reply(now, ev.Request, nil, ev.Data); err != nil {
					t.Error(err)
				}
			case transport.EventReply:
				if ev.Outcome == transport.Done && len(ev.Data) == 20_000 {
					replies++
				}
			case transport.EventUp:
				up = true
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		hosts.Add(worker)
		hosts.Add(courier)
	}
	hosts.Add(w)
	now := core.Second
	id, err := ends[0].Connect(now, transport.Peer{
		Path: transport.RawPath(wire.MAC{2}, wire.MAC{2, 0, 0, 0, 0, 1}), Key: keys[1],
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		o := transport.Order{Session: id, Deadline: now + core.Second, Tag: uint64(i)}
		if _, err := ends[0].Call(now, o, make([]byte, 20_000)); err != nil {
			t.Fatal(err)
		}
	}
	for range 20_000 {
		hosts.Step(now)
		now += 10 * core.Microsecond
	}
	if !up || replies != 10 {
		t.Errorf("up %v, %d replies", up, replies)
	}
}
