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

// rig is two runtimes with a session, over a wire in memory.
type rig struct {
	hosts   *core.Host
	now     core.Time
	ends    [2]*transport.Endpoint
	id      transport.SessionID
	replies int // with the right length
	size    int
	up      bool
}

// step lets time pass.
func (r *rig) step(turns int) {
	for range turns {
		r.hosts.Step(r.now)
		r.now += 10 * core.Microsecond
	}
}

// newRig makes one whose frames have that MTU, in chunks of 2,048 bytes.
func newRig(t *testing.T, mtu, size int) *rig {
	t.Helper()
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
	r := &rig{hosts: core.NewHost(), now: core.Second, size: size}
	var keys [2]identity.Key
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
		r.ends[i], err = transport.New(transport.Config{MTU: mtu, Handshake: handshake.Config{
			Private: private, Certificate: signed, Trust: trust,
			Random: rand.NewChaCha8([32]byte{byte(i)}), Unix: 1_800_000_000 * int64(core.Second),
		}})
		if err != nil {
			t.Fatal(err)
		}
		worker, err := dataplane.NewWorker(link, caches[i], dataplane.WorkerConfig{
			MAC: wire.MAC{2, 0, 0, 0, 0, byte(i)}, MTU: mtu,
		})
		if err != nil {
			t.Fatal(err)
		}
		e := r.ends[i]
		courier, err := New(e, worker, 0, &atOnce{}, func(now core.Time, ev transport.Event) {
			switch ev.Kind {
			case transport.EventRequest:
				if err := e.Reply(now, ev.Request, nil, ev.Data); err != nil {
					t.Error(err)
				}
			case transport.EventReply:
				if ev.Outcome == transport.Done && len(ev.Data) == size {
					r.replies++
				}
			case transport.EventUp:
				r.up = true
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		r.hosts.Add(worker)
		r.hosts.Add(courier)
	}
	r.hosts.Add(w)
	r.id, err = r.ends[0].Connect(r.now, transport.Peer{
		Path: transport.RawPath(wire.MAC{2}, wire.MAC{2, 0, 0, 0, 0, 1}), Key: keys[1],
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// call asks the second runtime for an echo.
func (r *rig) call(t *testing.T, data []byte) {
	o := transport.Order{Session: r.id, Deadline: r.now + core.Second}
	if _, err := r.ends[0].Call(r.now, o, data); err != nil {
		t.Fatal(err)
	}
}

// TestTwoRuntimesCallEachOther: with frames that are built in a chunk, and such that need several.
func TestTwoRuntimesCallEachOther(t *testing.T) {
	for _, mtu := range []int{1500, 9000} {
		r := newRig(t, mtu, 20_000)
		for range 10 {
			r.call(t, make([]byte, r.size))
		}
		r.step(20_000)
		if !r.up || r.replies != 10 {
			t.Errorf("MTU %d: up %v, %d replies", mtu, r.up, r.replies)
		}
	}
}

// TestSmallCallAllocatesNothing: neither end allocates for a call, from the worker's ring to the
// handler and back.
func TestSmallCallAllocatesNothing(t *testing.T) {
	for _, mtu := range []int{1500, 9000} {
		r := newRig(t, mtu, 64)
		data := make([]byte, r.size)
		once := func() {
			before := r.replies
			r.call(t, data)
			for range 100 {
				if r.step(1); r.replies > before {
					return
				}
			}
			t.Fatal("no reply")
		}
		r.step(1000)
		for range 3000 { // warm up: rings, slots, the heap of timers
			once()
		}
		if n := testing.AllocsPerRun(1000, once); n != 0 {
			t.Errorf("MTU %d: %v allocations a call at both ends", mtu, n)
		}
	}
}
