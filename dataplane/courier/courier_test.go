package courier

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
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

// pooled returns two caches of a new pool.
func pooled(t *testing.T) (caches [2]*dataplane.Cache) {
	t.Helper()
	p, err := dataplane.NewPool(make([]byte, 512*2048), dataplane.PoolConfig{
		ChunkBytes: 2048, Caches: len(caches),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range caches {
		if caches[i], err = p.Cache(); err != nil {
			t.Fatal(err)
		}
	}
	return caches
}

// cross is a link that may send elsewhere than it receives from, says whether input waits, and may
// be used by a team's threads beside the wire.
type cross struct {
	rx, tx dataplane.Link
	mu     *sync.Mutex
}

func (x cross) Recv(dst []dataplane.Frame) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.rx.Recv(dst)
}

func (x cross) Send(src []dataplane.Frame) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.tx.Send(src)
}

func (x cross) Flush() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tx.Flush()
}

func (x cross) Pending() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.rx.Pending() || x.tx.Pending()
}

func (x cross) Unread() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.rx.Pending()
}

// alone is a poller that finds out if two threads are in it.
type alone struct {
	core.Poller
	t    *testing.T
	busy atomic.Bool
}

func (a *alone) Poll(now core.Time) int {
	if !a.busy.CompareAndSwap(false, true) {
		a.t.Error("two threads use the endpoint")
	}
	defer a.busy.Store(false)
	return a.Poller.Poll(now)
}

// rig is two runtimes with a session, over a wire in memory.
type rig struct {
	hosts   *core.Host
	sides   [2]*core.Host // in it
	workers [2]*dataplane.Worker
	pollers [2]*Courier
	second  *dataplane.Worker // of the second runtime
	wake    func()
	woken   int
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
	return newRigOf(t, mtu, size, false)
}

// newRigOf is newRig where, if asked for, what the first runtime sends comes in at another worker
// of the second one than that of its endpoint.
func newRigOf(t *testing.T, mtu, size int, relayed bool) *rig {
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
	pools := [2][2]*dataplane.Cache{pooled(t), pooled(t)}
	w, err := memlink.New(pools[0][0], pools[1][0], memlink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w2, err := memlink.New(pools[0][1], pools[1][1], memlink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	mu := &sync.Mutex{}
	links := [2]dataplane.Link{cross{w.A(), w.A(), mu}, cross{w.B(), w.B(), mu}}
	if relayed {
		links[0] = cross{w.A(), w2.A(), mu}
	}
	r := &rig{hosts: core.NewHost(), now: core.Second, size: size}
	if r.second, err = dataplane.NewWorker(cross{w2.B(), w2.B(), mu}, pools[1][1],
		dataplane.WorkerConfig{MTU: mtu}); err != nil {
		t.Fatal(err)
	}
	var keys [2]identity.Key
	for i, link := range links {
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
		worker, err := dataplane.NewWorker(link, pools[i][0], dataplane.WorkerConfig{
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
				if i == 0 {
					r.up = true
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if relayed && i == 1 {
			if err := courier.Relay(r.second, func() { r.wake() }); err != nil {
				t.Fatal(err)
			}
		}
		r.workers[i], r.pollers[i] = worker, courier
		r.sides[i] = core.NewHost(worker, courier)
		r.hosts.Add(r.sides[i])
	}
	r.hosts.Add(r.second)
	r.wake = func() { r.woken++ }
	r.hosts.Add(w)
	r.hosts.Add(w2)
	r.id, err = r.ends[0].Connect(r.now, transport.Peer{
		Path: transport.RawPath(wire.MAC{2}, wire.MAC{2, 0, 0, 0, 0, 1}), Key: keys[1],
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// call asks the second runtime for an echo.
func (r *rig) call(t *testing.T, data []byte) { r.callWithin(t, core.Second, data) }

func (r *rig) callWithin(t *testing.T, most core.Time, data []byte) {
	o := transport.Order{Session: r.id, Deadline: r.now + most}
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

// TestPacketsOfAnotherWorker: what comes in at another worker of the runtime reaches the endpoint,
// and its frames go back, which are fewer than there are packets.
func TestPacketsOfAnotherWorker(t *testing.T) {
	for _, mtu := range []int{1500, 9000} {
		r := newRigOf(t, mtu, 20_000, true)
		const rounds = 20
		for range rounds {
			for range 5 {
				r.call(t, make([]byte, r.size))
			}
			r.step(3000)
		}
		c := r.second.Counters()
		if !r.up || r.replies != 5*rounds || c.Packets == 0 || r.woken == 0 {
			t.Errorf("MTU %d: up %v, %d replies, %d packets at the other worker, woken %d times",
				mtu, r.up, r.replies, c.Packets, r.woken)
		}
		if mtu == 1500 && c.Packets < 1024 {
			t.Errorf("%d packets: too few to find that frames are lost", c.Packets)
		}
		for _, n := range c.Dropped {
			if n > 0 {
				t.Errorf("dropped %v", c.Dropped)
			}
		}
	}
}

// TestRelayIsBounded: packets that the endpoint does not take are declined when there is no room.
func TestRelayIsBounded(t *testing.T) {
	r := newRigOf(t, 1500, 64, true)
	r.step(1000)
	r.hosts.Remove(r.sides[1])
	for range 3 * relayed {
		r.call(t, make([]byte, r.size))
		r.step(1)
	}
	c := r.second.Counters()
	if n := c.Dropped[dataplane.ReasonDeclined]; n == 0 || c.Silent != c.Packets-n {
		t.Errorf("%d of %d packets declined, %d taken", n, c.Packets, c.Silent)
	}
	r.hosts.Add(r.sides[1])
	if r.step(100_000); r.replies != 3*relayed {
		t.Errorf("%d of %d replies when it is back", r.replies, 3*relayed)
	}
}

// TestRelayOfAnotherPool: is refused.
func TestRelayOfAnotherPool(t *testing.T) {
	r := newRig(t, 1500, 64)
	caches := pooled(t)
	w, err := memlink.New(caches[0], caches[1], memlink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := dataplane.NewWorker(w.A(), caches[0], dataplane.WorkerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(r.ends[0], r.second, 0, &atOnce{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Relay(other, nil); err == nil {
		t.Error("accepted a worker of another pool")
	}
}

// TestAwayIsNotLost: who comes back after deadlines and retransmission time-outs and finds in its
// ring what came before them takes nothing of that for lost.
func TestAwayIsNotLost(t *testing.T) {
	const calls = 60
	r := newRig(t, 1500, 64)
	r.step(1000)
	for range 100 {
		r.call(t, make([]byte, r.size))
		r.step(10)
	}
	r.step(1000)
	before, had := r.ends[0].Counters(), r.replies
	for range calls {
		r.callWithin(t, 20*core.Millisecond, make([]byte, r.size))
	}
	r.step(1)
	r.hosts.Remove(r.sides[0])
	r.step(5000) // 50 ms
	r.hosts.Add(r.sides[0])
	r.step(1000)
	after := r.ends[0].Counters()
	if r.replies-had != calls || after.Timeouts != before.Timeouts || after.Probes != before.Probes ||
		after.Resent != before.Resent {
		t.Errorf("%d replies of %d; before %+v, after %+v", r.replies-had, calls, before, after)
	}
}

// TestTeamHasSessions: threads that come and go at random serve a runtime's two workers, one of which
// has the endpoint, and the other gets all packets.
func TestTeamHasSessions(t *testing.T) {
	const calls = 400
	r := newRigOf(t, 1500, 3000, true)
	r.hosts.Remove(r.sides[1])
	r.hosts.Remove(r.second)
	team, err := dataplane.NewTeam([]*dataplane.Worker{r.workers[1], r.second},
		dataplane.TeamConfig{})
	if err != nil {
		t.Fatal(err)
	}
	team.Accompany(0, &alone{Poller: r.pollers[1], t: t})
	r.wake = func() { team.Call(0) }
	var clock atomic.Int64
	clock.Store(int64(r.now))
	var threads sync.WaitGroup
	var world sync.RWMutex // a wire uses what its ends do, and moves while the threads do not
	stop := make(chan struct{})
	for k := range team.Seats() {
		threads.Go(func() { comeAndGo(team.Seat(k), &world, &clock, stop, uint64(k)) })
	}
	for began := 0; r.replies < calls; {
		if began-r.replies < 8 && began < calls {
			r.callWithin(t, 1000*core.Second, make([]byte, r.size))
			began++
		}
		world.Lock()
		r.hosts.Step(r.now)
		world.Unlock()
		r.now = core.Time(clock.Add(int64(core.Microsecond)))
		runtime.Gosched()
		if r.now > 900*core.Second {
			t.Fatalf("%d replies", r.replies)
		}
	}
	close(stop)
	threads.Wait()
	if n := team.Seat(0).Counters().Helped + team.Seat(1).Counters().Helped; n == 0 {
		t.Error("no thread served the other's worker")
	}
	for _, e := range r.ends {
		if err := e.Audit(r.now); err != nil {
			t.Error(err)
		}
	}
}

// comeAndGo turns a seat while its thread has a core, as it does most of the time.
func comeAndGo(seat *dataplane.Seat, world *sync.RWMutex, clock *atomic.Int64,
	stop <-chan struct{}, seed uint64,
) {
	random := rand.New(rand.NewPCG(seed, 1))
	for {
		select {
		case <-stop:
			return
		default:
		}
		world.RLock()
		work := seat.Poll(core.Time(clock.Load()))
		world.RUnlock()
		if work == 0 {
			runtime.Gosched()
		}
		if random.IntN(20) > 0 {
			continue
		}
		seat.Leave()
		for range random.IntN(20) {
			runtime.Gosched()
		}
	}
}
