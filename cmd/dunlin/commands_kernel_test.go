package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// TestStatus asks as root, and as a member of the socket's group.
func TestStatus(t *testing.T) {
	h := newHost(t, "  - {name: other, uids: [1], endpoints: [{udp: 9}]}\n")
	h.iokernel(t)
	echo := h.echo(t)
	h.exchange(t, h.lab.End(lab.B).IPv4, 20)
	for _, uid := range []uint32{0, nobody} {
		p := h.start(t, uid, "dunlin", "status", "--socket", h.socket)
		p.wait(t, 0)
		p.await(t, 0, fmt.Sprintf("echo     mediated  %d", echo.cmd.Process.Pid))
		p.await(t, 0, "other    not attached")
		p.await(t, 0, "dl1 (veth, MTU 1500): XDP native, copy")
	}
	p := h.start(t, 0, "dunlin", "status", "--socket", h.socket, "-o", "json")
	p.wait(t, 0)
	var s control.Status
	if err := json.Unmarshal([]byte(strings.Join(p.output(), "\n")), &s); err != nil {
		t.Fatal(err)
	}
	if s.Interface.Name != "dl1" || len(s.Runtimes) != 2 || s.Runtimes[0].PID != echo.cmd.Process.Pid ||
		s.Runtimes[0].Counters["rx_packets"] < 20 {
		t.Errorf("got %+v", s)
	}
	h.refused(t, stranger, 3, "is closed to uid 65533", "dunlin", "status", "--socket", h.socket)
	h.refused(t, 0, 5, "is the iokernel running", "dunlin", "status", "--socket", h.socket+".none")
}

// TestDoctor looks at an interface before, beside and instead of an iokernel.
func TestDoctor(t *testing.T) {
	h := newHost(t, "")
	examine := func(uid uint32, code int, name string) map[string]finding {
		t.Helper()
		p := h.start(t, uid, "dunlin", "doctor", name, "-o", "json")
		p.wait(t, code)
		text := strings.Join(p.output(), "\n")
		list, _, _ := strings.Cut(text, "\n]") // behind it may stand why the exit code is not 0
		var found []finding
		if err := json.Unmarshal([]byte(list+"\n]"), &found); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		byCheck := map[string]finding{}
		for _, f := range found {
			byCheck[f.Check] = f
		}
		return byCheck
	}
	expect := func(found map[string]finding, check string, want verdict, says string) {
		t.Helper()
		if f := found[check]; f.Verdict != want || !strings.Contains(f.Says, says) {
			t.Errorf("%s: got %s %q, want %s %q", check, f.Verdict, f.Says, want, says)
		}
	}

	for _, uid := range []uint32{0, nobody} {
		found := examine(uid, 0, "dl1")
		expect(found, "interface", verdictOK, "dl1 (veth) is up")
		expect(found, "XDP program", verdictOK, "none is attached")
		expect(found, "XDP mode", verdictOK, "native")
		expect(found, "frames", verdictNote, "veth has no zero-copy")
		expect(found, "MTU", verdictOK, "1500")
		expect(found, "default route", verdictOK, "")
		expect(found, "kernel traffic", verdictNote, "dunlin bench latency")
	}
	expect(examine(nobody, 0, "dl1"), "capabilities", verdictNote, "can run applications")
	expect(examine(0, 1, "no-such-if"), "interface", verdictFail, "is not there")

	iokernel := h.iokernel(t)
	expect(examine(0, 0, "dl1"), "XDP program", verdictNote, "an iokernel runs here")
	iokernel.signal(unix.SIGTERM)
	iokernel.wait(t, 0)

	foreignProgram(t, h)
	defaultRoute(t, h)
	found := examine(0, 1, "dl1")
	expect(found, "XDP program", verdictFail, `"somebodys"`)
	expect(found, "default route", verdictWarn, "refuses")
}

// TestCapture captures what tcpdump cannot see, and has a decoder of somebody else read it.
func TestCapture(t *testing.T) {
	h := newHost(t, "")
	h.refused(t, 0, 5, "no such device", "dunlin", "capture", "nowhere", "-w", h.dir+"/none")
	h.refused(t, 0, 5, "no XDP program attached", "dunlin", "capture", "dl1", "-w", h.dir+"/none")
	h.iokernel(t)
	h.echo(t)
	h.refused(t, nobody, 3, "needs CAP_SYS_ADMIN", "dunlin", "capture", "dl1", "-w", "/dev/null")

	const count = 20
	file := filepath.Join(h.dir, "frames.pcapng")
	p := h.start(t, 0, "dunlin", "capture", "dl1", "-w", file, "--count", fmt.Sprint(count))
	h.capturing(t, file)
	h.exchange(t, h.lab.End(lab.B).IPv4, 2*count)
	p.wait(t, 0)
	p.await(t, 0, fmt.Sprintf("%d frames captured", count))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	frames := decode(t, text)
	if len(frames) != count {
		t.Errorf("the file has %d frames, want %d", len(frames), count)
	}
	for i, frame := range frames {
		ip, _ := frame.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		udp, _ := frame.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if ip == nil || udp == nil || udp.DstPort != echoPort ||
			!ip.DstIP.Equal(net.IP(h.lab.End(lab.B).IPv4.AsSlice())) {
			t.Fatalf("frame %d is %v", i, frame)
		}
	}

	// Everything, to a pipe, until a signal.
	p = h.start(t, 0, "dunlin", "capture", "dl1", "--all", "-w", "-")
	wait(t, "the header, which names its writer", func() bool { return p.wrote("dunlin") })
	if err := h.ping(h.lab.End(lab.B).IPv4, 5); err != nil {
		t.Fatal(err)
	}
	p.signal(unix.SIGINT)
	p.wait(t, 0)
	if !p.wrote("passed_protocol") { // the reason, as a comment
		t.Error("the echo requests, which the program passes to the kernel, are not there")
	}
	p.await(t, 0, "frames captured")
}

// capturing waits until the header is in the file, which says that frames are captured from now on.
func (h *host) capturing(t *testing.T, file string) {
	t.Helper()
	wait(t, "the header of "+file, func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 0
	})
}

// decode reads a pcapng file.
func decode(t *testing.T, text []byte) (frames []gopacket.Packet) {
	t.Helper()
	reader, err := pcapgo.NewNgReader(bytes.NewReader(text), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	source := gopacket.NewPacketSource(reader, reader.LinkType())
	for frame := range source.Packets() {
		frames = append(frames, frame)
	}
	return frames
}
