package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// status asks the iokernel, as root.
func (h *host) status(t *testing.T) control.Status {
	t.Helper()
	c, err := control.Dial(h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// program is the id of the XDP program on end B, 0 if there is none.
func (h *host) program(t *testing.T) (id uint32) {
	t.Helper()
	err := h.lab.In(lab.B, func() error {
		link, err := netlink.LinkByName(h.lab.End(lab.B).Name)
		if err == nil && link.Attrs().Xdp != nil && link.Attrs().Xdp.Attached {
			id = link.Attrs().Xdp.ProgId
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// wait waits until it is so.
func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	for start := time.Now(); !so(); time.Sleep(glance) {
		if time.Since(start) > patience {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// noProgram waits until no XDP program is on end B: the kernel takes it off after the process is gone.
func (h *host) noProgram(t *testing.T) {
	t.Helper()
	wait(t, "the XDP program to go", func() bool { return h.program(t) == 0 })
}

// TestIokernelEnds ends an iokernel in order and by force, looks at what is left, and starts the next.
func TestIokernelEnds(t *testing.T) {
	for _, test := range []struct {
		signal syscall.Signal
		code   int
		says   string // by the runtime
	}{
		{unix.SIGTERM, 0, "the iokernel is stopping"},
		{unix.SIGINT, 0, "the iokernel is stopping"},
		{unix.SIGKILL, -1, "the iokernel is gone; start it again"},
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			h := newHost(t, "")
			for round := range 2 {
				iokernel := h.iokernel(t)
				if h.program(t) == 0 {
					t.Fatal("no XDP program is attached")
				}
				echo := h.echo(t)
				h.exchange(t, h.lab.End(lab.B).IPv4, 20)
				iokernel.signal(test.signal)
				iokernel.wait(t, test.code)
				line, _ := echo.await(t, 0, "dunlin echo: ")
				if !strings.Contains(line, test.says) {
					t.Errorf("round %d: the runtime says %q, want %q", round, line, test.says)
				}
				echo.wait(t, 5)
				h.noProgram(t)
				if test.signal == unix.SIGKILL {
					continue // files may be left; the next round must not mind
				}
				left, err := filepath.Glob(filepath.Join(h.dir, "*.sock*"))
				if err != nil || len(left) > 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			}
		})
	}
}

// TestSecondSignal ends an iokernel that was asked twice at once: it must not hang.
func TestSecondSignal(t *testing.T) {
	h := newHost(t, "")
	iokernel := h.iokernel(t)
	iokernel.signal(unix.SIGTERM)
	iokernel.signal(unix.SIGTERM)
	select {
	case <-iokernel.ended: // in order with 0 if it was fast, else by the signal
	case <-time.After(patience):
		t.Fatal("it is still there")
	}
	h.noProgram(t)
}

// TestRuntimeIsKilled attaches again after a runtime was killed, and wants the iokernel to have taken
// everything back.
func TestRuntimeIsKilled(t *testing.T) {
	for name, more := range map[string]string{
		"mediated": "", "direct": "    allow_direct: true\n    queue: 0\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, more)
			iokernel := h.iokernel(t)
			var args []string
			if name == "direct" {
				args = []string{"--direct"}
			}
			var files int
			for round := range 5 {
				echo := h.echo(t, args...)
				h.exchange(t, h.lab.End(lab.B).IPv4, 20)
				h.exchange(t, h.lab.End(lab.B).IPv6, 20)
				if s := h.status(t).Runtimes[0]; s.PID != echo.cmd.Process.Pid || s.UID != nobody {
					t.Errorf("round %d: attached is pid %d of uid %d", round, s.PID, s.UID)
				}
				echo.signal(unix.SIGKILL)
				echo.wait(t, -1)
				h.detached(t)
				n := descriptors(t, iokernel)
				if round > 0 && n != files {
					t.Errorf("round %d: the iokernel has %d files open, before it had %d", round, n, files)
				}
				files = n
			}
			for name, n := range h.status(t).Counters {
				if strings.HasPrefix(name, "drop_") && n > 0 {
					t.Errorf("%s: %d", name, n)
				}
			}
			iokernel.signal(unix.SIGTERM)
			iokernel.wait(t, 0)
		})
	}
}

// detached waits until the iokernel has noticed that its runtime is gone.
func (h *host) detached(t *testing.T) {
	t.Helper()
	wait(t, "the runtime to be detached", func() bool { return h.status(t).Runtimes[0].PID == 0 })
}

// descriptors counts the open files of a process, once connections of ours have left it.
func descriptors(t *testing.T, p *process) int {
	t.Helper()
	last := -1
	for start := time.Now(); time.Since(start) < patience; time.Sleep(10 * glance) {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == last {
			return last
		}
		last = len(entries)
	}
	t.Fatal("its files never stop changing")
	return 0
}

// TestReconnect has a runtime that waits for the iokernel and outlives it.
func TestReconnect(t *testing.T) {
	h := newHost(t, "")
	echo := h.start(t, nobody, "dunlin", "echo", "--socket", h.socket, "--reconnect")
	_, next := echo.await(t, 0, "no socket at ")
	for range 2 {
		iokernel := h.iokernel(t)
		_, next = echo.await(t, next, "ready: ")
		h.exchange(t, h.lab.End(lab.B).IPv4, 20)
		iokernel.signal(unix.SIGKILL)
		iokernel.wait(t, -1)
		_, next = echo.await(t, next, "trying again in")
	}
	echo.signal(unix.SIGTERM)
	echo.wait(t, 0)
}

// TestHangup reloads what can be reloaded.
func TestHangup(t *testing.T) {
	h := newHost(t, "")
	iokernel := h.iokernel(t)
	h.echo(t)
	text, err := os.ReadFile(h.config)
	if err != nil {
		t.Fatal(err)
	}
	hangup := func(config, says string) {
		t.Helper()
		h.configure(t, config)
		from := len(iokernel.output())
		iokernel.signal(unix.SIGHUP)
		iokernel.await(t, from, says)
	}
	hangup(string(text), "configuration reloaded")
	hangup(string(text)+"spin: 70us\n", "restart to apply it")
	hangup(string(text)+"spim: 70us\n", `unknown key \"spim\"`)
	hangup(string(text)+"log: {level: warn}\n", "log level changed")
	h.exchange(t, h.lab.End(lab.B).IPv4, 20)
}

// TestServiceManager is systemd's side of Type=notify with a watchdog.
func TestServiceManager(t *testing.T) {
	h := newHost(t, "")
	path := filepath.Join(h.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	expect := func(text string) {
		t.Helper()
		buffer := make([]byte, 4096)
		for {
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			n, err := conn.Read(buffer)
			if err != nil {
				t.Fatalf("no %s: %v", text, err)
			}
			if strings.Contains(string(buffer[:n]), text) {
				return
			}
		}
	}
	env := []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=200000"}
	iokernel := h.startWith(t, env, nil, "iokernel", "--config", h.config)
	expect("READY=1\nSTATUS=dl1")
	for range 3 {
		expect("WATCHDOG=1")
	}
	iokernel.signal(unix.SIGHUP)
	expect("RELOADING=1\nMONOTONIC_USEC=")
	expect("READY=1")
	iokernel.signal(unix.SIGTERM)
	expect("STOPPING=1")
	iokernel.wait(t, 0)
}
