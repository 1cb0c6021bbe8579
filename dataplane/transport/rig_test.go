package transport

import (
	"bytes"
	"container/heap"
	"crypto/ecdh"
	"crypto/ed25519"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// rig is endpoints on one network in virtual time. Each side has a cable of a given rate to a switch
// that has a queue for each side.
type rig struct {
	t      testing.TB
	shared *shared // CPUs that threads share; nil: each has its own
	now    core.Time
	trust  *identity.Trust
	host   ed25519.PrivateKey
	sides  []*side
	flying flights
	pushed uint64
	jobs   core.Time // how long a job takes
	// watch sees each frame that is sent and may change it; nil loses it.
	watch func(from *side, frame []byte) []byte
	audit bool
}

// side is one endpoint and its network card.
type side struct {
	r        *rig
	e        *Endpoint
	n        byte
	life     uint16 // how often it was restarted
	mac      wire.MAC
	key      identity.Key
	model    *fault.Model // of what it sends
	rate     int64        // bytes per second of its card and of the switch's port to it; 0: no limit
	queue    core.Time    // longest wait in that port; 0: no limit
	cardFree core.Time
	portFree core.Time
	stopped  bool    // does not run
	thread   *thread // its own; nil: always runs
	relay    *thread // of an iokernel between it and its cable; nil: there is none
	events   []Event
	serve    func(s *side, ev Event) // takes an event at once; false: kept
	buffer   []byte
	overflow int
	bytesIn  int64
	history  [][]byte
}

type flightItem struct {
	at    core.Time
	order uint64
	to    *side
	b     []byte
	job   *handshake.Job
	e     *Endpoint // whose job it is
	out   *side     // it is on its way to this one's cable; nil: from it
}

type flights []flightItem

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	return f[i].at < f[j].at || f[i].at == f[j].at && f[i].order < f[j].order
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flightItem)) }
func (f *flights) Pop() any {
	old := *f
	x := old[len(old)-1]
	*f = old[:len(old)-1]
	return x
}

func newRig(t testing.TB) *rig {
	host, err := identity.NewHostKey(rand.NewChaCha8([32]byte{}))
	if err != nil {
		t.Fatal(err)
	}
	return &rig{
		t: t, now: core.Second, host: host, jobs: 200 * core.Microsecond,
		trust: &identity.Trust{
			Cluster: "lab",
			Hosts: []identity.Host{
				{Name: "alpha", Keys: []ed25519.PublicKey{host.Public().(ed25519.PublicKey)}},
			},
			Allow: []identity.Rule{{Host: "alpha", Runtime: identity.Anybody}},
		},
	}
}

const rigUnix = 1_800_000_000 * int64(core.Second)

// add makes a side.
func (r *rig) add(change func(*Config)) *side {
	r.t.Helper()
	n := byte(len(r.sides) + 1)
	s := &side{r: r, n: n, mac: wire.MAC{2, 0, 0, 0, 0, n}}
	s.start(change)
	s.setFaults(fault.Config{Delay: fault.Delay{Fixed: 5 * core.Microsecond}})
	r.sides = append(r.sides, s)
	return s
}

// start makes the endpoint of a side, a new one with a key of its own each time.
func (s *side) start(change func(*Config)) {
	r := s.r
	r.t.Helper()
	private := [32]byte{0x58, s.n, byte(s.life), byte(s.life >> 8)}
	key, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		r.t.Fatal(err)
	}
	copy(s.key[:], key.PublicKey().Bytes())
	cert := r.certificate(s)
	config := Config{Handshake: handshake.Config{
		Private: private, Certificate: cert, Trust: r.trust,
		Random: rand.NewChaCha8([32]byte{s.n, byte(s.life), byte(s.life >> 8)}), Unix: rigUnix,
	}}
	if change != nil {
		change(&config)
	}
	if s.e, err = New(config); err != nil {
		r.t.Fatal(err)
	}
	s.buffer = make([]byte, s.e.MaxFrame())
}

// certificate is what the host says about a side.
func (r *rig) certificate(s *side) []byte {
	r.t.Helper()
	c := identity.Certificate{
		Cluster: "lab", Host: "alpha", Runtime: "r", Incarnation: 1 + uint64(s.life), Key: s.key,
		Roles: identity.RoleRuntime, NotAfter: 1 << 40,
	}
	cert, err := c.Sign(r.host)
	if err != nil {
		r.t.Fatal(err)
	}
	return cert
}

// setFaults says what becomes of what s sends.
func (s *side) setFaults(c fault.Config) {
	m, err := fault.New(c, rand.New(rand.NewPCG(uint64(s.n), 7)))
	if err != nil {
		s.r.t.Fatal(err)
	}
	s.model = m
}

func (s *side) lose(p float64) {
	c := s.model.Config()
	c.Loss = p
	if err := s.model.SetConfig(c); err != nil {
		s.r.t.Fatal(err)
	}
}

// path is the way from s to another.
func (s *side) path(to *side, udp int) Path {
	p := RawPath(s.mac, to.mac)
	switch udp {
	case 4:
		p.UDP = true
		p.Flow.Src = wire.UDPAddr4([4]byte{10, 0, 0, s.n}, 7000)
		p.Flow.Dst = wire.UDPAddr4([4]byte{10, 0, 0, to.n}, 7000)
	case 6:
		p.UDP = true
		p.Flow.Src = wire.UDPAddr6([16]byte{0xfd, 15: s.n}, 7000)
		p.Flow.Dst = wire.UDPAddr6([16]byte{0xfd, 15: to.n}, 7000)
	}
	return p
}

func (r *rig) side(mac wire.MAC) *side {
	if n := int(mac[5]); n >= 1 && n <= len(r.sides) {
		return r.sides[n-1]
	}
	return nil
}

// send puts a frame on the wire.
func (r *rig) send(from *side, b []byte) {
	if r.watch != nil {
		if b = r.watch(from, b); b == nil {
			return
		}
	}
	if f := (flightItem{b: b, out: from}); !from.relay.keep(f) {
		r.wire(from, b)
	}
}

// wire puts a frame on a side's cable.
func (r *rig) wire(from *side, b []byte) {
	to := r.side(wire.Ethernet(b).Dst())
	if to == nil {
		return
	}
	v := from.model.Judge(r.now, len(b))
	at := r.now
	if from.rate > 0 {
		from.cardFree = max(from.cardFree, at) + core.Time(int64(len(b))*1e9/from.rate)
		at = from.cardFree
	}
	if keep := from.model.Config().Replay.Depth; keep > 0 {
		from.history = append(from.history, b)
		if len(from.history) > keep+1 {
			from.history = from.history[1:]
		}
	}
	for _, d := range v.Deliveries() {
		frame := b
		if d.Back > 0 {
			if d.Back >= len(from.history) {
				continue
			}
			frame = from.history[len(from.history)-1-d.Back]
		}
		arrive := at + d.At - r.now
		if to.rate > 0 {
			if to.queue > 0 && to.portFree > arrive+to.queue {
				to.overflow++
				continue
			}
			to.portFree = max(to.portFree, arrive) + core.Time(int64(len(b))*1e9/to.rate)
			arrive = to.portFree
		}
		r.push(flightItem{at: arrive, to: to, b: fault.Apply(d, bytes.Clone(frame))})
	}
}

func (r *rig) push(f flightItem) {
	r.pushed++
	f.order = r.pushed
	heap.Push(&r.flying, f)
}

// drain takes everything a side has to say now.
func (r *rig) drain(s *side) {
	if s.stopped || s.thread.away() {
		return
	}
	for more := true; more; {
		more = false
		for {
			j := s.e.NextJob()
			if j == nil {
				break
			}
			j.Run()
			r.push(flightItem{at: r.now + r.jobs, to: s, job: j, e: s.e})
		}
		for {
			ev, ok := s.e.NextEvent(r.now)
			if !ok {
				break
			}
			more = true
			if s.serve != nil {
				s.serve(s, *ev)
				continue
			}
			ev.Header, ev.Data = bytes.Clone(ev.Header), bytes.Clone(ev.Data)
			s.events = append(s.events, *ev)
		}
		for {
			n := s.e.NextFrame(r.now, s.buffer)
			if n == 0 {
				break
			}
			more = true
			r.send(s, bytes.Clone(s.buffer[:n]))
		}
	}
	if r.audit {
		s.e.mustAudit(r.t, r.now)
	}
}

// step goes to the next thing that happens, at most until end; false when nothing does before.
func (r *rig) step(end core.Time) bool {
	for _, s := range r.sides {
		r.drain(s)
	}
	next := core.Never
	if len(r.flying) > 0 {
		next = r.flying[0].at
	}
	for _, s := range r.sides {
		if !s.stopped && !s.thread.away() {
			next = min(next, s.e.Deadline())
		}
	}
	next = min(next, r.shared.next())
	if next > end {
		r.now = end
		return false
	}
	r.now = max(r.now, next)
	r.shared.turn(r)
	for len(r.flying) > 0 && r.flying[0].at <= r.now {
		f := heap.Pop(&r.flying).(flightItem)
		if !f.to.relay.keep(f) {
			r.arrive(r.now, f)
		}
		r.drain(f.to)
	}
	for _, s := range r.sides {
		if !s.stopped && !s.thread.away() && s.e.Deadline() <= r.now {
			s.e.HandleTimeout(r.now)
			r.drain(s)
		}
	}
	return true
}

// arrive brings something to a side, for which it is that time.
func (r *rig) arrive(now core.Time, f flightItem) {
	switch s := f.to; {
	case s.stopped || s.thread.keep(f):
	case f.job != nil && f.e != s.e: // of a life before
	case f.job != nil:
		s.e.JobDone(now, f.job)
	default:
		s.bytesIn += int64(len(f.b))
		s.e.HandleFrame(now, f.b)
	}
}

// run lets time pass.
func (r *rig) run(d core.Time) {
	for end := r.now + d; r.step(end); {
	}
}

// until lets time pass until ok, at most for d.
func (r *rig) until(what string, d core.Time, ok func() bool) {
	r.t.Helper()
	for end := r.now + d; !ok(); {
		if !r.step(end) && !ok() {
			r.t.Fatalf("not after %d us: %s", d/core.Microsecond, what)
		}
	}
}

// take takes the first event of a kind out of those kept.
func (s *side) take(k EventKind) (Event, bool) {
	for i, ev := range s.events {
		if ev.Kind == k {
			s.events = append(s.events[:i], s.events[i+1:]...)
			return ev, true
		}
	}
	return Event{}, false
}

// await waits for an event.
func (s *side) await(k EventKind) (ev Event) {
	s.r.t.Helper()
	s.r.until("event", 100*core.Second, func() bool {
		var ok bool
		ev, ok = s.take(k)
		return ok
	})
	return ev
}

// connect opens a session from a to b.
func (r *rig) connect(a, b *side, udp int) (ofA, ofB SessionID) {
	r.t.Helper()
	id, err := a.e.Connect(r.now, Peer{Path: a.path(b, udp), Key: b.key})
	if err != nil {
		r.t.Fatal(err)
	}
	up := a.await(EventUp)
	other := b.await(EventUp)
	if up.Session != id {
		r.t.Fatalf("session %v up, want %v", up.Session, id)
	}
	return id, other.Session
}

func (r *rig) order(s SessionID) Order {
	return Order{Session: s, Deadline: r.now + core.Second}
}

// pair is two sides with a session.
func pair(t testing.TB, udp int, change func(*Config)) (r *rig, a, b *side, sa, sb SessionID) {
	t.Helper()
	r = newRig(t)
	a, b = r.add(change), r.add(change)
	sa, sb = r.connect(a, b, udp)
	return r, a, b, sa, sb
}

func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + seed)
	}
	return b
}

// echo answers each request with its bytes.
func echo(s *side, ev Event) {
	if ev.Kind == EventRequest {
		if err := s.e.Reply(s.r.now, ev.Request, ev.Header, ev.Data); err != nil {
			s.r.t.Errorf("reply: %v", err)
		}
		return
	}
	ev.Header, ev.Data = bytes.Clone(ev.Header), bytes.Clone(ev.Data)
	s.events = append(s.events, ev)
}
