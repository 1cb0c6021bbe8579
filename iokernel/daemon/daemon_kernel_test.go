package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

const echoPort = 7777

// newLab makes two namespaces, or skips where nobody may.
func newLab(t *testing.T, o lab.PairOptions) *lab.Lab {
	t.Helper()
	l, err := lab.New(o)
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("needs root for network namespaces: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// optionsFor are those of an iokernel on end B with one runtime "echo" for us.
func optionsFor(t *testing.T, l *lab.Lab) Options {
	t.Helper()
	c := config.Default()
	c.Interface = l.End(lab.B).Name
	c.Poll = config.PollAdaptive
	c.Control.Socket = filepath.Join(t.TempDir(), "iokernel.sock")
	r := config.DefaultRuntime()
	r.Name = "echo"
	r.UIDs = []config.Account{config.ID(uint32(os.Getuid()))}
	r.Endpoints = []config.Endpoint{{EtherType: uint16(echoType)}, {UDP: echoPort}}
	c.Runtimes = []config.Runtime{r}
	return Options{
		Config: c, Inside: func(f func() error) error { return l.In(lab.B, f) },
		Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
}

// startDaemon starts an iokernel until the test ends.
func startDaemon(t *testing.T, l *lab.Lab, change func(*Options)) *Daemon {
	t.Helper()
	o := optionsFor(t, l)
	if change != nil {
		change(&o)
	}
	if err := o.Config.Validate(); err != nil {
		t.Fatal(err)
	}
	d, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	return len(b), nil
}

// in runs fn in a namespace of the lab and fails the test with its error.
func in(t *testing.T, l *lab.Lab, side lab.Side, fn func() error) {
	t.Helper()
	if err := l.In(side, fn); err != nil {
		t.Fatal(err)
	}
}

// openRuntime attaches.
func openRuntime(t *testing.T, o attach.Options) *attach.Runtime {
	t.Helper()
	rt, err := attach.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

// runRuntime runs a runtime until the test ends.
func runRuntime(t *testing.T, rt *attach.Runtime) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rt.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// runEcho attaches and echoes UDP until the test ends.
func runEcho(t *testing.T, o attach.Options) {
	t.Helper()
	rt := openRuntime(t, o)
	if err := rt.HandleUDP(echoPort, func(r *dataplane.Request) { r.Turn() }); err != nil {
		t.Fatal(err)
	}
	runRuntime(t, rt)
}

// exchange sends from a plain socket in A and wants the same back.
func exchange(t *testing.T, l *lab.Lab, to netip.Addr, n int) {
	t.Helper()
	var conn net.Conn
	if err := l.In(lab.A, func() (err error) {
		conn, err = net.Dial("udp", netip.AddrPortFrom(to, echoPort).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 64)
	for i := range n {
		want := []byte{byte(i), 'd', 'u', 'n', 'l', 'i', 'n'}
		conn.SetDeadline(time.Now().Add(2 * time.Second))
		if _, err := conn.Write(want); err != nil {
			t.Fatal(err)
		}
		got, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("reply %d from %v: %v", i, to, err)
		}
		if string(buf[:got]) != string(want) {
			t.Fatalf("reply %d from %v: %q", i, to, buf[:got])
		}
	}
}

func TestModesAnswerPlainClients(t *testing.T) {
	for _, mode := range []string{"mediated", "direct", "solo"} {
		t.Run(mode, func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			d := startDaemon(t, l, func(o *Options) {
				o.Private = mode == "solo"
				r := &o.Config.Runtimes[0]
				if mode == "direct" {
					r.AllowDirect, r.Queue = true, 0
				}
			})
			o := attach.Options{Name: "echo", Socket: d.Socket(), Direct: mode == "direct"}
			if mode == "solo" {
				o.Solo = d
			}
			runEcho(t, o)
			exchange(t, l, l.End(lab.B).IPv4, 100)
			exchange(t, l, l.End(lab.B).IPv6, 100)
		})
	}
}
