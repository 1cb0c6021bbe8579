package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// refused starts a program that must end by itself with the code and one line that holds says.
func (h *host) refused(t *testing.T, uid uint32, code int, says, program string, args ...string) {
	t.Helper()
	p := h.start(t, uid, program, args...)
	p.wait(t, code)
	var complaints []string
	for _, line := range p.output() {
		if !strings.Contains(line, "level=INFO") {
			complaints = append(complaints, line)
		}
	}
	if len(complaints) != 1 || !strings.Contains(complaints[0], says) {
		t.Errorf("%s %v: want one line with %q:\n%s", program, args, says, strings.Join(complaints, "\n"))
	}
}

// TestIokernelRefusesToStart goes through what is wrong with a configuration or a machine: each gets
// one line that says what to do, an exit code, and changes nothing.
func TestIokernelRefusesToStart(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, h *host)
		args    []string
		uid     uint32
		code    int
		says    string
	}{
		{
			name: "unknown key", prepare: func(t *testing.T, h *host) { h.configure(t, "interface: x\nspim: 1\n") },
			code: 2, says: `iokernel.yaml:2:1: unknown key "spim"; known here are interface, cpu,`,
		},
		{
			name: "not YAML", prepare: func(t *testing.T, h *host) { h.configure(t, "interface: [x\n") },
			code: 2, says: "iokernel.yaml:1:",
		},
		{
			name: "bad value", args: []string{"--xdp-frames=many"},
			code: 2, says: `--xdp-frames: xdp.frames: "many": want a number`,
		},
		{
			name: "missing file", args: []string{"--config=/nowhere/iokernel.yaml"},
			code: 2, says: "open /nowhere/iokernel.yaml: no such file",
		},
		{
			name: "foreign CPU", args: []string{"--cpu=4095"},
			code: 2, says: "cpu: CPU 4095 is not among the CPUs",
		},
		{
			name: "missing interface", args: []string{"--interface=no-such-if"},
			code: 5, says: `interface "no-such-if"`,
		},
		{
			name: "default route", prepare: defaultRoute,
			code: 2, says: "the default route leads through it",
		},
		{
			name: "foreign XDP program", prepare: foreignProgram,
			code: 4, says: `dl1 has XDP program`,
		},
		{
			name: "UDP port taken", prepare: portTaken,
			code: 4, says: "UDP port 7777 of runtime echo is taken by another program",
		},
		{
			name: "no capability", uid: stranger,
			code: 3, says: "lacks [CAP_NET_ADMIN CAP_BPF CAP_PERFMON CAP_NET_RAW]: run it as root",
		},
		{name: "a file in the socket's place", prepare: func(t *testing.T, h *host) {
			if err := os.WriteFile(h.socket, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, code: 1, says: "the file there is not a socket"},
		{
			name: "metrics port taken", prepare: metricsPortTaken, args: []string{"--metrics-listen=127.0.0.1:9911"},
			code: 4, says: "metrics.listen",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t, "")
			if test.prepare != nil {
				test.prepare(t, h)
			}
			before := h.program(t)
			h.refused(t, test.uid, test.code, test.says, "iokernel",
				append([]string{"--config", h.config}, test.args...)...)
			if now := h.program(t); now != before {
				t.Errorf("XDP program %d is attached, before it was %d", now, before)
			}
		})
	}
}

// defaultRoute leads B's default route through the interface.
func defaultRoute(t *testing.T, h *host) {
	t.Helper()
	err := h.lab.In(lab.B, func() error {
		return netlink.RouteAdd(&netlink.Route{
			LinkIndex: h.lab.End(lab.B).Index,
			Gw:        h.lab.End(lab.A).IPv4.AsSlice(),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// foreignProgram attaches an XDP program that is not ours, by a link of this process.
func foreignProgram(t *testing.T, h *host) {
	t.Helper()
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebodys", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	}) // XDP_PASS
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	err = h.lab.In(lab.B, func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: h.lab.End(lab.B).Index})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func portTaken(t *testing.T, h *host) {
	t.Helper()
	err := h.lab.In(lab.B, func() error {
		conn, err := net.ListenPacket("udp", fmt.Sprintf("0.0.0.0:%d", echoPort))
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func metricsPortTaken(t *testing.T, h *host) {
	t.Helper()
	err := h.lab.In(lab.B, func() error {
		listener, err := net.Listen("tcp", "127.0.0.1:9911")
		if err == nil {
			t.Cleanup(func() { listener.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSecondIokernel starts one more beside a running one, which notices nothing.
func TestSecondIokernel(t *testing.T) {
	h := newHost(t, "")
	h.iokernel(t)
	h.echo(t)
	h.refused(t, 0, 4, "another iokernel is running", "iokernel", "--config", h.config)
	other := *h
	other.config = h.config + ".other"
	other.configure(t, "interface: dl1\ncontrol: {socket: "+h.socket+".other}\n"+
		"runtimes: [{name: other, uids: [1], endpoints: [{udp: 9}]}]\n")
	h.refused(t, 0, 4, "dl1 has XDP program", "iokernel", "--config", other.config)
	h.exchange(t, h.lab.End(lab.B).IPv4, 50)
}

// TestRuntimeIsRefused goes through what a runtime must not do.
func TestRuntimeIsRefused(t *testing.T) {
	h := newHost(t, "")
	h.iokernel(t, "--control-mode=0666")
	h.echo(t)
	to := func(args ...string) []string { return append([]string{"echo", "--socket", h.socket}, args...) }
	tests := []struct {
		name string
		uid  uint32
		args []string
		code int
		says string
	}{
		{"wrong uid", stranger, to(), 3, "uid 65533 (gid 65533) is not in uids or gids"},
		{"root is nobody special", 0, to(), 3, `uid 0 (gid 0) is not in uids or gids of runtime "echo"`},
		{"wrong name", nobody, to("--name", "ecco"), 3, `no runtime "ecco" in the iokernel's configuration`},
		{"twice", nobody, to(), 4, "runtime echo is attached already, by pid"},
		{"direct", nobody, to("--direct"), 3, `runtime "echo" may not attach in direct mode`},
		{"no iokernel", nobody, []string{"echo", "--socket", h.socket + ".none"}, 5, "is the iokernel running"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h.refused(t, test.uid, test.code, test.says, "dunlin", test.args...)
		})
	}
	h.exchange(t, h.lab.End(lab.B).IPv4, 50)
}

// TestRuntimeMistakes are those of a user who may attach.
func TestRuntimeMistakes(t *testing.T) {
	h := newHost(t, "")
	h.iokernel(t)
	h.refused(t, nobody, 2, "UDP port 9 is not among the runtime's endpoints", "dunlin", "echo",
		"--socket", h.socket, "--udp", "9")
	h.refused(t, stranger, 3, "is closed to uid 65533", "dunlin", "echo", "--socket", h.socket)
	h.echo(t) // nothing of it is left
	h.exchange(t, h.lab.End(lab.B).IPv4, 10)
}

// TestHostileClients send what is no message, half of one, too much, files, or nothing. Each is told
// why, counted and cut off; the runtime that is attached notices nothing.
func TestHostileClients(t *testing.T) {
	h := newHost(t, "")
	iokernel := h.iokernel(t)
	h.echo(t)
	files := descriptors(t, iokernel)
	tests := []struct {
		name    string
		message []byte
		file    bool
		code    control.Code
	}{
		{name: "garbage", message: []byte("\x00\xff\x13garbage"), code: control.CodeMalformed},
		{name: "half a message", message: []byte(`{"version":1,"type":"hello","bo`), code: control.CodeMalformed},
		{name: "another version", message: []byte(`{"version":99,"type":"hello"}`), code: control.CodeVersion},
		{name: "too much", message: make([]byte, control.MaxMessageBytes+1), code: control.CodeOversize},
		{
			name: "a file", message: []byte(`{"version":1,"type":"status","body":{}}`), file: true,
			code: control.CodeFiles,
		},
		{name: "nothing", code: control.CodeSilent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.Dial("unixpacket", h.socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if test.message != nil {
				var rights []byte
				if test.file {
					rights = syscall.UnixRights(0)
				}
				if _, _, err := conn.(*net.UnixConn).WriteMsgUnix(test.message, rights, nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 4096)
			n, err := conn.Read(buffer)
			if err != nil || !strings.Contains(string(buffer[:n]), `"code":"`+string(test.code)+`"`) {
				t.Errorf("it says %q, %v; want %s", buffer[:n], err, test.code)
			}
			if n, err := conn.Read(buffer); n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it is still connected: %d bytes, %v", n, err)
			}
			iokernel.await(t, 0, "code="+string(test.code))
			h.exchange(t, h.lab.End(lab.B).IPv4, 10)
		})
	}
	if now := descriptors(t, iokernel); now != files {
		t.Errorf("the iokernel has %d files open, before it had %d", now, files)
	}
	iokernel.signal(unix.SIGTERM)
	iokernel.wait(t, 0)
}
