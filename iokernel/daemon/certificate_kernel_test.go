package daemon

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/attach/sessions"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// certificateLife is long enough that a busy machine renews in time, for a test to see several.
const certificateLife = 6 * time.Second

// TestCertificatesRenewThemselves: runtimes whose certificates live some seconds go on talking for
// longer than that, without anybody's doing, and show the newer ones; who begins a session then
// gets one. An iokernel that refuses is asked again, and that is told; when it signs again all is
// well.
func TestCertificatesRenewThemselves(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	daemons := hosts(t, l, false, false)
	var ends [2]*talker
	var first [2]time.Time
	for side, d := range daemons {
		d.signing.signer.SetLife(certificateLife)
		ends[side] = newTalker(t, attach.Options{Name: "echo", Socket: d.Socket()},
			sessions.Options{Transport: transport.Config{RenewAfter: core.Second / 2}})
		first[side] = ends[side].s.NotAfter()
	}
	a, b := ends[0], ends[1]
	peer := transport.Peer{Path: paths(l)["raw"], Key: b.s.Key()}
	a.connect(peer)
	take(t, "session at the peer", b.up)
	begun := time.Now()
	for time.Since(begun) < certificateLife*3/2 || a.s.Certificate().Renewed < 2 ||
		b.s.Certificate().Renewed < 2 {
		if time.Since(begun) > time.Duration(2*sessionPatience) {
			t.Fatalf("%+v, %+v", a.s.Certificate(), b.s.Certificate())
		}
		for _, k := range ends {
			k.call(0, []byte("still there"))
			for len(k.up) > 0 {
				<-k.up
			}
			for len(k.down) > 0 {
				if cause := <-k.down; cause != transport.CauseReplaced {
					t.Fatalf("a session ended for cause %v", cause)
				}
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	for side, k := range ends {
		shown := int64(0)
		await(t, "a newer certificate is shown", func() bool {
			k.do(func(_ core.Time, e *transport.Endpoint) error {
				who, err := e.Who(k.peer)
				shown = who.NotAfter
				return err
			})
			return shown > first[1-side].Unix()
		})
		if c := k.s.Certificate(); c.Err != nil || c.Failed > 0 || !c.NotAfter.After(time.Now()) {
			t.Errorf("%+v", c)
		}
	}
	a.do(func(now core.Time, e *transport.Endpoint) error { return e.Close(now, a.peer) })
	take(t, "end of the session", a.down)
	a.call(a.connect(peer), []byte("anew"))

	signer := daemons[0].signing.signer
	signer.SetLife(-time.Hour)
	awaitIdle(t, "two attempts have failed", func() bool { return a.s.Certificate().Failed >= 2 })
	c := a.s.Certificate()
	if c.Err == nil || !strings.Contains(c.Err.Error(), "expired") {
		t.Errorf("%+v", c)
	}
	says(t, a.s.Renew(), "attach echo: identity", "expired")
	signer.SetLife(certificateLife)
	awaitIdle(t, "it is signed again", func() bool {
		now := a.s.Certificate()
		return now.Err == nil && now.Renewed > c.Renewed && now.NotAfter.After(time.Now())
	})
	if err := b.s.Renew(); err != nil {
		t.Error(err)
	}
}

// keepers is how many goroutines keep certificates.
func keepers() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), ".keepCertified(")
}

// TestKeepingACertificateEnds: with the runtime, whether that is closed or has lost its iokernel.
func TestKeepingACertificateEnds(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	daemons := hosts(t, l, false, false)
	for _, gone := range []bool{false, true} {
		d := daemons[0]
		d.signing.signer.SetLife(time.Second)
		rt := openRuntime(t, attach.Options{Name: "echo", Socket: d.Socket()})
		s, err := sessions.Open(rt, sessions.Options{},
			func(core.Time, *transport.Endpoint, transport.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		awaitIdle(t, "somebody keeps the certificate", func() bool { return keepers() == 1 })
		if gone {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			awaitIdle(t, "nobody signs", func() bool { return s.Certificate().Failed >= 2 })
		}
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
		awaitIdle(t, "nobody keeps the certificate", func() bool { return keepers() == 0 })
	}
}
