package daemon

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

const (
	// soakFrames is what each mode sends in every run of the tests; soakEnv asks for more.
	soakFrames = 200_000
	soakEnv    = "DUNLIN_SOAK_FRAMES"

	quietTimeout = 5 * time.Second // for frames to arrive, or for a loop to answer (guess)
	quietPause   = 5 * time.Millisecond
	soakWindow   = 64
)

// soak is a generator, an iokernel and a runtime, and what tells them apart.
type soak struct {
	t          *testing.T
	direct     bool
	lab        *lab.Lab
	daemon     *Daemon
	gen        *generator
	attachment *attachment
	worker     *dataplane.Worker
	port       *dataplane.Port
	hold       *holder
	threaded   bool // this kernel can receive in a thread
}

// holder is a poller that stops the loop that it shares, when asked to.
type holder struct{ asked chan chan struct{} }

func (h *holder) Poll(core.Time) int {
	select {
	case release := <-h.asked:
		<-release
	default:
	}
	return 0
}

// Next looks every millisecond, since nothing would wake the loop.
func (h *holder) Next(now core.Time) core.Time { return now + core.Millisecond }

// hold stops the loop until the function that it returns is called.
func (h *holder) hold(t *testing.T) (release func()) {
	t.Helper()
	c := make(chan struct{})
	select {
	case h.asked <- c:
		return func() { close(c) }
	case <-time.After(quietTimeout):
		t.Fatalf("the runtime's loop did not turn for %v", quietTimeout)
		return nil
	}
}

// small are sizes that run out soon.
func small(r *config.Runtime) { r.RingEntries, r.Frames = 256, 512 }

func newSoak(t *testing.T, direct bool) *soak {
	s := &soak{t: t, direct: direct, threaded: true, hold: &holder{make(chan chan struct{})}}
	s.lab = newLab(t, lab.PairOptions{MTU: soakMTU, NoIPv6: true})
	s.daemon = startDaemon(t, s.lab, func(o *Options) {
		o.Config.XDP.RingEntries, o.Config.XDP.Frames = 256, 1024
		r := &o.Config.Runtimes[0]
		small(r)
		r.Endpoints = append(r.Endpoints, config.Endpoint{EtherType: uint16(unservedType)})
		if direct {
			r.AllowDirect, r.Queue = true, 0
		} else {
			r.ChunkBytes = dataplane.MinChunkBytes // packets are cut anew on their way
		}
	})
	rt := openRuntime(t, attach.Options{Name: "echo", Socket: s.daemon.Socket(), Direct: direct})
	if err := rt.HandleRaw(echoType, serve); err != nil {
		t.Fatal(err)
	}
	if err := rt.HandleUDP(echoPort, serve); err != nil {
		t.Fatal(err)
	}
	rt.Add(0, s.hold)
	s.worker, s.port = rt.Worker(0), rt.Port(0)
	runRuntime(t, rt)
	s.daemon.mu.Lock()
	for _, a := range s.daemon.attached {
		s.attachment = a
	}
	s.daemon.mu.Unlock()
	s.gen = newGenerator(t, s.lab, 1)
	return s
}

// quiet waits until every frame is accounted for, and returns the account.
func (s *soak) quiet(where string) view {
	s.t.Helper()
	for start := time.Now(); ; time.Sleep(quietPause) {
		for s.gen.recv() {
		}
		v := s.look()
		err := s.err(&v)
		if err == nil {
			return v
		}
		if time.Since(start) > quietTimeout {
			s.t.Fatalf("after %s, %d frames sent, still not accounted for after %v:\n%v\n%s", where,
				s.gen.total(), quietTimeout, err, s.report(&v))
		}
	}
}

func (s *soak) report(v *view) (text string) {
	there, back := v.there(s.direct), v.backStages(s.direct, s.gen.packets)
	for _, st := range append(there, back...) {
		text += fmt.Sprintln(st)
	}
	return text + fmt.Sprintln(total("A to B, in all", there)) +
		fmt.Sprintln(total("B to A, in all", back))
}

func mixed(r *rand.Rand) (kind, int) { return pickKind(r), pickSize(r) }

// tiny are frames of which more than veth's 256 may wait within the socket's send buffer.
func tiny(*rand.Rand) (kind, int) { return kindEcho, minFrame }

// phases send n frames each, and have them lost at another stage each.
func (s *soak) phases() []func(n int) {
	g := s.gen
	return []func(n int){
		func(n int) { g.steady(n, soakWindow, pickKind) },
		func(n int) { g.flood(n, false, mixed) },
		func(n int) { g.flood(n, true, mixed) }, // replies overflow the generator's socket
		func(n int) { // requests overflow the runtime's rings
			release := s.hold.hold(s.t)
			g.flood(n, false, mixed)
			release()
		},
		func(n int) { // requests overflow B's socket, the iokernel's or the runtime's
			_, release := s.stopReceiver()
			g.flood(n, false, mixed)
			release()
		},
		func(n int) { // both directions overflow veth's rings
			if !s.thread(true) {
				return
			}
			g.flood(n, false, tiny)
			s.quiet("a flood received by threads")
			s.thread(false)
		},
	}
}

// thread switches both ends to receiving in threads, if this kernel can.
func (s *soak) thread(on bool) bool {
	for _, side := range []lab.Side{lab.A, lab.B} {
		if err := setThreaded(s.lab, side, on); err != nil {
			s.t.Logf("veth's own ring is not made to overflow: %v (needs Linux 6.17)", err)
			return false
		}
	}
	return true
}

// TestFramesAreConserved sends frames of all kinds and sizes while one stage after the other
// cannot keep up. Each frame must then have been delivered, or be counted under exactly one name,
// and every frame of every memory must be in exactly one place.
func TestFramesAreConserved(t *testing.T) {
	frames := soakFrames
	if text := os.Getenv(soakEnv); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s=%q: want a number of frames", soakEnv, text)
		}
		frames = n
	}
	for _, mode := range []string{"mediated", "direct"} {
		t.Run(mode, func(t *testing.T) {
			s := newSoak(t, mode == "direct")
			phases := s.phases()
			// Ten turns of the phases, so that each recovers from each.
			share := max(frames/(10*len(phases)), 1024)
			for i := 0; s.gen.total() < uint64(frames); i++ {
				phases[i%len(phases)](share)
				s.quiet(fmt.Sprintf("phase %d", i%len(phases)))
			}
			s.capacity()
			s.recovered()
			v := s.quiet("all")
			t.Logf("%d frames\n%s", s.gen.total(), s.report(&v))
			s.lostEverywhere(&v)
		})
	}
}
