package daemon

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/attach/sessions"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// sessionPatience is how long a call may take on a machine that others use. (guess)
const sessionPatience = 30 * core.Second

// mediatedBytes is a long call behind iokernels: both of them and both runtimes share two CPUs here,
// so that one of 8 MiB may take seconds, and is made over raw frames alone.
const mediatedBytes = 256 << 10

// talker is a runtime with sessions: it echoes calls and keeps how its own calls and writes ended.
type talker struct {
	t     *testing.T
	s     *sessions.Sessions
	peer  transport.SessionID // the session that came up last
	last  transport.SessionID // the session of the last call
	up    chan transport.SessionID
	down  chan transport.Cause
	ended chan transport.Event // Data copied
}

// udpAddr is the runtimes' UDP port of an address.
func udpAddr(a netip.Addr) wire.UDPAddr {
	return wire.UDPAddrFrom(netip.AddrPortFrom(a, echoPort))
}

func (k *talker) handle(now core.Time, e *transport.Endpoint, ev transport.Event) {
	switch ev.Kind {
	case transport.EventUp:
		k.peer = ev.Session
		k.up <- ev.Session
	case transport.EventDown:
		k.down <- ev.Cause
	case transport.EventRequest:
		if err := e.Reply(now, ev.Request, ev.Header, ev.Data); err != nil {
			k.t.Errorf("reply: %v", err)
		}
	case transport.EventReply, transport.EventWritten:
		ev.Data = bytes.Clone(ev.Data)
		k.ended <- ev
	}
}

// newTalker attaches to an iokernel and runs until the test ends.
func newTalker(t *testing.T, a attach.Options, o sessions.Options) *talker {
	t.Helper()
	rt := openRuntime(t, a)
	k := &talker{
		t: t, up: make(chan transport.SessionID, 64), down: make(chan transport.Cause, 64),
		ended: make(chan transport.Event, 4),
	}
	o.Transport.DeadAfter = sessionPatience
	var err error
	if k.s, err = sessions.Open(rt, o, k.handle); err != nil {
		t.Fatal(err)
	}
	runRuntime(t, rt)
	return k
}

// do runs f on the worker's thread.
func (k *talker) do(f func(now core.Time, e *transport.Endpoint) error) {
	k.t.Helper()
	var err error
	if gone := k.s.Do(func(now core.Time, e *transport.Endpoint) { err = f(now, e) }); gone != nil {
		k.t.Fatal(gone)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// take waits for something.
func take[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Duration(2 * sessionPatience)):
		t.Fatalf("%s: nothing within %v", what, time.Duration(2*sessionPatience))
	}
	return v
}

// connect begins a session and waits for it.
func (k *talker) connect(p transport.Peer) (id transport.SessionID) {
	k.t.Helper()
	k.do(func(now core.Time, e *transport.Endpoint) (err error) {
		id, err = e.Connect(now, p)
		return err
	})
	if up := take(k.t, "session", k.up); up != id {
		k.t.Fatalf("session %v is up, not %v", up, id)
	}
	return id
}

// call wants data back; session 0 is the one that came up last.
func (k *talker) call(id transport.SessionID, data []byte) {
	k.t.Helper()
	k.do(func(now core.Time, e *transport.Endpoint) error {
		if k.last = id; id == 0 {
			k.last = k.peer
		}
		o := transport.Order{
			Session: k.last, Deadline: now + sessionPatience, Header: []byte("h"),
		}
		_, err := e.Call(now, o, data)
		return err
	})
	ev := take(k.t, "reply", k.ended)
	if ev.Outcome != transport.Done || !bytes.Equal(ev.Data, data) {
		k.t.Fatalf("call of %d bytes: outcome %v, cause %v, %d bytes back", len(data), ev.Outcome,
			ev.Cause, len(ev.Data))
	}
}

// hosts are an iokernel at each end of a pair, of hosts alpha (A) and beta (B) of one cluster. If
// alpha is a stranger, it calls itself so, but beta's cluster file has another key for that name.
func hosts(t *testing.T, l *lab.Lab, direct, stranger bool) (ends [2]*Daemon) {
	t.Helper()
	return hostsWith(t, l, stranger, func(_ lab.Side, o *Options) {
		if direct {
			o.Config.Runtimes[0].AllowDirect, o.Config.Runtimes[0].Queue = true, 0
		}
	})
}

// hostsWith is hosts whose configurations are changed.
func hostsWith(t *testing.T, l *lab.Lab, stranger bool, change func(lab.Side, *Options)) (
	ends [2]*Daemon,
) {
	t.Helper()
	configure := [2]func(*Options){clusterOf(t), clusterOf(t)}
	if stranger {
		configure[lab.A] = clusterOfKeys(t, 77, 2)
	}
	for side, host := range []string{"alpha", "beta"} {
		ends[side] = startDaemon(t, l, func(o *Options) {
			configure[side](o)
			forNobody(t, o)
			c := &o.Config
			c.Interface = l.End(lab.Side(side)).Name
			o.Inside = func(f func() error) error { return l.In(lab.Side(side), f) }
			c.Cluster.Host = host
			c.Cluster.Key = filepath.Join(filepath.Dir(c.Cluster.Key), host)
			c.Runtimes[0].Endpoints = []config.Endpoint{
				{EtherType: uint16(wire.EtherTypeDunlin)}, {UDP: echoPort},
			}
			change(lab.Side(side), o)
		})
	}
	return ends
}

// paths are raw frames, and UDP over both IP versions, from A to B.
func paths(l *lab.Lab) map[string]transport.Path {
	a, b := l.End(lab.A), l.End(lab.B)
	raw := transport.RawPath(a.MAC, b.MAC)
	flow := raw.Flow
	v4, v6 := flow, flow
	v4.Src, v4.Dst = udpAddr(a.IPv4), udpAddr(b.IPv4)
	v6.Src, v6.Dst = udpAddr(a.IPv6), udpAddr(b.IPv6)
	return map[string]transport.Path{
		"raw": raw, "UDP over IPv4": transport.UDPPath(v4), "UDP over IPv6": transport.UDPPath(v6),
	}
}

// TestRuntimesTalk: two runtimes behind two iokernels call each other and write into each other's
// memory, in each mode, over each encapsulation, with ordinary and with jumbo frames.
func TestRuntimesTalk(t *testing.T) {
	for _, c := range []struct {
		name    string
		direct  bool
		mtu     int
		longest int // bytes of a call, but over raw frames
	}{
		{"mediated", false, 1500, mediatedBytes},
		{"direct", true, 1500, transport.MaxMessageBytes},
		{"jumbo", false, 9000, transport.MaxMessageBytes},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, lab.PairOptions{MTU: c.mtu})
			var ends [2]*talker
			for side, d := range hosts(t, l, c.direct, false) {
				ends[side] = newTalker(t, attach.Options{
					Name: "echo", Socket: d.Socket(), Direct: c.direct,
				}, sessions.Options{UDP: echoPort})
			}
			for name, path := range paths(l) {
				longest := c.longest
				if !path.UDP {
					longest = transport.MaxMessageBytes
				}
				t.Run(name, func(t *testing.T) { talk(t, ends[0], ends[1], path, longest) })
			}
		})
	}
}

// TestSessionsOfSeveralWorkers: flows decide at which worker of a runtime a peer's packets come in,
// and so at the one that has the sessions or at the other one.
func TestSessionsOfSeveralWorkers(t *testing.T) {
	for _, worker := range []int{0, 1} {
		t.Run(fmt.Sprintf("worker %d", worker), func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			ends := hostsWith(t, l, false, func(side lab.Side, o *Options) {
				if side == lab.B {
					o.Config.Runtimes[0].Workers = 2
				}
			})
			a := newTalker(t, attach.Options{Name: "echo", Socket: ends[lab.A].Socket()},
				sessions.Options{})
			b := newTalker(t, attach.Options{Name: "echo", Socket: ends[lab.B].Socket()},
				sessions.Options{Worker: worker})
			talk(t, a, b, paths(l)["raw"], mediatedBytes)
		})
	}
}

// talk connects a to b and uses the session.
func talk(t *testing.T, a, b *talker, path transport.Path, longest int) {
	a.t, b.t = t, t
	id := a.connect(transport.Peer{Path: path, Key: b.s.Key()})
	theirs := take(t, "session at the peer", b.up)
	var who identity.Certificate
	b.do(func(_ core.Time, e *transport.Endpoint) (err error) {
		who, err = e.Who(theirs)
		return err
	})
	if who.Host != "alpha" || who.Runtime != "echo" {
		t.Errorf("the peer takes us for %v", &who)
	}
	pattern := make([]byte, transport.MaxMessageBytes)
	for i := range pattern {
		pattern[i] = byte(i * 31 >> 3)
	}
	for n := range 100 {
		a.call(id, pattern[n:n+64])
	}
	a.call(id, pattern[:longest-transport.MaxHeaderBytes])

	memory := make([]byte, longest/4)
	var region transport.RegionID
	b.do(func(_ core.Time, e *transport.Endpoint) (err error) {
		region, err = e.Register(theirs, memory, transport.RightWrite)
		return err
	})
	const at = 4096
	data := pattern[:len(memory)-2*at]
	a.do(func(now core.Time, e *transport.Endpoint) error {
		o := transport.Order{Session: id, Deadline: now + sessionPatience}
		_, err := e.Write(now, o, transport.Target{Region: region, Offset: at}, data)
		return err
	})
	if ev := take(t, "write", a.ended); ev.Outcome != transport.Done {
		t.Fatalf("write: outcome %v, cause %v", ev.Outcome, ev.Cause)
	}
	b.do(func(_ core.Time, e *transport.Endpoint) error { return e.Deregister(region) })
	clean := make([]byte, at)
	if !bytes.Equal(memory[:at], clean) || !bytes.Equal(memory[at:at+len(data)], data) ||
		!bytes.Equal(memory[at+len(data):], clean) {
		t.Error("the region is not what was written")
	}
	a.do(func(now core.Time, e *transport.Endpoint) error { return e.Close(now, id) })
	for _, k := range []*talker{a, b} {
		take(t, "end of the session", k.down)
	}
}

// TestSessionsRenewThemselves: without anybody's doing a session has a successor with fresh keys when
// it is old, at both ends, again and again. Calls of either end never fail for it, and the old sessions
// end when they are quiet.
func TestSessionsRenewThemselves(t *testing.T) {
	const renewals = 3
	l := newLab(t, lab.PairOptions{})
	var ends [2]*talker
	for side, d := range hosts(t, l, false, false) {
		ends[side] = newTalker(t, attach.Options{Name: "echo", Socket: d.Socket()},
			sessions.Options{Transport: transport.Config{RenewAfter: core.Second / 4}})
	}
	a, b := ends[0], ends[1]
	last := a.connect(transport.Peer{Path: paths(l)["raw"], Key: b.s.Key()})
	take(t, "session at the peer", b.up)
	begun := time.Now()
	for seen := 0; seen < renewals; {
		if time.Since(begun) > time.Duration(2*sessionPatience) {
			t.Fatalf("%d renewals within %v", seen, time.Since(begun))
		}
		for side, k := range ends {
			k.call(0, []byte("again and again"))
			if side == 0 && k.last != last {
				last = k.last
				seen++
			}
		}
	}
	for _, k := range ends {
		for range renewals - 1 {
			if cause := take(t, "end of an old session", k.down); cause != transport.CauseReplaced {
				t.Errorf("an old session ended for cause %v", cause)
			}
		}
		k.do(func(now core.Time, e *transport.Endpoint) error { return e.Audit(now) })
	}
}

// TestInsecureRuntimesTalk: without a cluster, for measurement, and with nobody else.
func TestInsecureRuntimesTalk(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	ends := hosts(t, l, false, false)
	a := newTalker(t, attach.Options{Name: "echo", Socket: ends[0].Socket()},
		sessions.Options{Insecure: true})
	b := newTalker(t, attach.Options{Name: "echo", Socket: ends[1].Socket()},
		sessions.Options{Insecure: true})
	path := paths(l)["raw"]
	id := a.connect(transport.Peer{Path: path, Key: b.s.Key()})
	a.call(id, []byte("in the clear"))
}

// TestStrangersAreRefused: a runtime whose host has another key than the cluster file says, and one
// that wants no encryption, get no session; the peer counts why.
func TestStrangersAreRefused(t *testing.T) {
	for _, c := range []struct {
		name     string
		insecure bool
		reason   handshake.Reason
	}{
		{"foreign host", false, handshake.ReasonCertificate},
		{"insecure", true, handshake.ReasonMode},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			ends := hosts(t, l, false, !c.insecure)
			b := newTalker(t, attach.Options{Name: "echo", Socket: ends[1].Socket()}, sessions.Options{})
			a := newTalker(t, attach.Options{Name: "echo", Socket: ends[0].Socket()}, sessions.Options{
				Insecure: c.insecure,
				Transport: transport.Config{
					Handshake: handshake.Config{GiveUpAfter: core.Second},
				},
			})
			a.do(func(now core.Time, e *transport.Endpoint) error {
				_, err := e.Connect(now, transport.Peer{
					Path: paths(l)["raw"], Key: b.s.Key(),
				})
				return err
			})
			if cause := take(t, "refusal", a.down); cause != transport.CauseConnect {
				t.Errorf("cause %v", cause)
			}
			var refused, up uint64
			b.do(func(_ core.Time, e *transport.Endpoint) error {
				refused = e.HandshakeCount(c.reason)
				up = e.Counters().Frames
				return nil
			})
			if refused == 0 || up != 0 || len(b.up) > 0 {
				t.Errorf("%d refused as %v, %d frames taken, %d sessions", refused, c.reason, up,
					len(b.up))
			}
		})
	}
}
