package xdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// Offsets in struct xdp_md, and verdicts.
const (
	ctxData, ctxDataEnd, ctxDataMeta, ctxQueue = 0, 4, 8, 16

	xdpDrop, xdpPass = 1, 2
)

// mapProgram is a Program out of its parts.
type mapProgram struct {
	program        *ebpf.Program
	sockets, count *ebpf.Map
}

func (p mapProgram) Program() *ebpf.Program { return p.program }
func (p mapProgram) Sockets() *ebpf.Map     { return p.sockets }

// failure is the error that the body of the program put in place of its count, if it did.
func (p mapProgram) failure(t *testing.T) error {
	t.Helper()
	var n int64
	if err := p.count.Lookup(uint32(0), &n); err != nil {
		t.Fatal(err)
	}
	if n >= 0 {
		return nil
	}
	return unix.Errno(-n)
}

// program assembles body in front of a redirect to the slot of the socket map that r2 names. The
// body finds the context in r6, the number of earlier frames in r7 and where they are counted in
// r8; it may jump to "drop".
func program(t *testing.T, slots int, frags bool, body asm.Instructions) mapProgram {
	t.Helper()
	sockets := newMap(t, ebpf.XSKMap, 4, slots)
	count := newMap(t, ebpf.Array, 8, 1)
	code := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, count.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.LoadMem(asm.R7, asm.R0, 0, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R7),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
	}
	code = append(code, body...)
	code = append(code,
		asm.LoadMapPtr(asm.R1, sockets.FD()),
		asm.Mov.Imm(asm.R3, xdpPass),
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"),
		asm.Return(),
	)
	spec := &ebpf.ProgramSpec{
		Name: "test", Type: ebpf.XDP, Instructions: code,
		License: "Apache-2.0",
	}
	if frags {
		spec.Flags = unix.BPF_F_XDP_HAS_FRAGS
	}
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { p.Close() })
	return mapProgram{p, sockets, count}
}

func newMap(t *testing.T, kind ebpf.MapType, value, entries int) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: kind, KeySize: 4, ValueSize: uint32(value),
		MaxEntries: uint32(entries),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// toQueue is the end of a body that redirects to the slot of the queue.
var toQueue = asm.LoadMem(asm.R2, asm.R6, ctxQueue, asm.Word)

// dropHalf: the program drops every other packet, and user space sees exactly the rest.
func dropHalf(t *testing.T, l *lab.Lab, m Mode) {
	half := program(t, 1, false, asm.Instructions{
		asm.And.Imm(asm.R7, 1),
		asm.JNE.Imm(asm.R7, 0, "drop"),
		toQueue,
	})
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m, program: half})
	for n := range counted {
		a.send(a.write(frame(l, lab.A, n, minFrame))...)
	}
	for n := 0; n < counted; n += 2 {
		if !bytes.Equal(b.recv(rigTimeout), frame(l, lab.A, n, minFrame)) {
			t.Fatalf("packet %d did not arrive", n)
		}
	}
	if b.recv(0) != nil {
		t.Error("a dropped packet arrived")
	}
}

// sharedMemory: two sockets on one queue and one memory; the program steers by the destination's
// last bit. The owner's fill and completion ring serve both.
func sharedMemory(t *testing.T, l *lab.Lab, m Mode) {
	steer := program(t, 2, false, asm.Instructions{
		asm.LoadMem(asm.R2, asm.R6, ctxData, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, ctxDataEnd, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, 6),
		asm.JGT.Reg(asm.R4, asm.R3, "drop"),
		asm.LoadMem(asm.R2, asm.R2, 5, asm.Byte),
		asm.And.Imm(asm.R2, 1),
	})
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m, program: steer})
	var shared *Socket
	in(t, l, lab.B, func() (err error) {
		shared, err = b.iface.OpenShared(0, b.sock, SocketOptions{Name: "second"})
		return err
	})
	if shared.OwnsQueue() || shared.Sizes().Fill != 0 || !b.sock.OwnsQueue() {
		t.Errorf("%s owns the queue: %t, rings %+v", shared, shared.OwnsQueue(), shared.Sizes())
	}
	if err := b.iface.Register(shared, 1); err != nil {
		t.Fatal(err)
	}
	// The second end works the second socket's rx and tx with the first one's fill and completion.
	second := *b
	second.sock, second.rings = shared, shared.Rings()
	second.rings.Fill, second.rings.Completion = b.rings.Fill, b.rings.Completion
	for n := range counted {
		p := frame(l, lab.A, n, minFrame)
		p[5] = byte(n)
		a.send(a.write(p)...)
		to := []*end{b, &second}[n%2]
		if got := to.recv(rigTimeout); !bytes.Equal(got, p) {
			t.Fatalf("packet %d did not arrive at socket %d", n, n%2)
		}
		b.rings.Fill, second.rings.Fill = to.rings.Fill, to.rings.Fill
	}
	if b.rings.Rx.Any() || second.rings.Rx.Any() {
		t.Error("a packet arrived at the wrong socket")
	}
}

// metadata: what the program writes before a packet lies before it in the chunk.
func metadata(t *testing.T, l *lab.Lab, m Mode) { metadataOf(t, l, m, false, minFrame) }

func metadataFrags(t *testing.T, l *lab.Lab, m Mode) { metadataOf(t, l, m, true, 8000) }

func metadataOf(t *testing.T, l *lab.Lab, m Mode, frags bool, size int) {
	number := program(t, 1, frags, asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, -4),
		asm.FnXdpAdjustMeta.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
		asm.LoadMem(asm.R2, asm.R6, ctxDataMeta, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, ctxData, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, 4),
		asm.JGT.Reg(asm.R4, asm.R3, "drop"),
		asm.StoreMem(asm.R2, 0, asm.R7, asm.Word),
		toQueue,
	})
	a := open(t, l, lab.A, setup{mode: m, frags: frags})
	b := open(t, l, lab.B, setup{mode: m, frags: frags, program: number})
	for n := range 64 {
		a.send(a.write(frame(l, lab.A, n, size))...)
		got, at := b.recvAt(rigTimeout)
		if !bytes.Equal(got, frame(l, lab.A, n, size)) {
			t.Fatalf("packet %d did not arrive", n)
		}
		if got := binary.NativeEndian.Uint32(b.mem[at-4:]); got != uint32(n) {
			t.Fatalf("packet %d has %d before it", n, got)
		}
	}
}

// adjustTail: the program makes packets longer or shorter.
func adjustTail(delta, size int) func(*testing.T, *lab.Lab, Mode) {
	return func(t *testing.T, l *lab.Lab, m Mode) {
		frags := size > 1514
		cut := program(t, 1, frags, asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Imm(asm.R2, int32(delta)),
			asm.FnXdpAdjustTail.Call(),
			asm.JEq.Imm(asm.R0, 0, "done"),
			asm.StoreMem(asm.R8, 0, asm.R0, asm.DWord),
			asm.Ja.Label("drop"),
			toQueue.WithSymbol("done"),
		})
		a := open(t, l, lab.A, setup{mode: m, frags: frags})
		b := open(t, l, lab.B, setup{mode: m, frags: frags, program: cut})
		for n := range 64 {
			want := frame(l, lab.A, n, size)
			a.send(a.write(want)...)
			if delta > 0 {
				want = append(want, make([]byte, delta)...)
			} else {
				want = want[:size+delta]
			}
			got := b.recv(rigTimeout / 4)
			if err := cut.failure(t); errors.Is(err, unix.EOPNOTSUPP) {
				t.Skipf("veth gives multi-buffer frames no room to grow: adjust_tail: %v", err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("packet %d of %d bytes arrived with %d, want %d (%v)", n, size, len(got),
					len(want), cut.failure(t))
			}
		}
	}
}

// programOutlivesSockets replaces the socket under an attached program, twice.
func programOutlivesSockets(t *testing.T, l *lab.Lab, m Mode) {
	a, b := open(t, l, lab.A, setup{mode: m}), open(t, l, lab.B, setup{mode: m})
	for range 3 {
		stream(t, l, a, b, lab.A, 0, rigBatch, minFrame)
		if err := b.sock.Close(); err != nil {
			t.Fatal(err)
		}
		a.send(a.write(frame(l, lab.A, 0, minFrame))...) // to nobody: the kernel's stack has it
		in(t, l, lab.B, func() (err error) {
			b.sock, err = b.iface.OpenSocket(0, b.mem, SocketOptions{
				Rings: sock.Sizes{Fill: rigRing, Completion: rigRing, Rx: rigRing, Tx: rigRing},
			})
			return err
		})
		if err := b.iface.Register(b.sock, 0); err != nil {
			t.Fatal(err)
		}
		b.rings = b.sock.Rings()
		b.lend(rigFill)
	}
}

func sendReceive9K(t *testing.T, l *lab.Lab, m Mode) {
	s := setup{mode: m, frags: true}
	a, b := open(t, l, lab.A, s), open(t, l, lab.B, s)
	for n := range 256 {
		size := []int{9014, minFrame, 3840, 3841, 4096, 4097, 7680, 8192}[n%8]
		descs := a.write(frame(l, lab.A, n, size))
		if done := a.send(descs...); done != len(descs) {
			t.Fatalf("packet %d: %d of %d descriptors completed", n, done, len(descs))
		}
		if got := b.recv(rigTimeout); !bytes.Equal(got, frame(l, lab.A, n, size)) {
			t.Fatalf("packet %d of %d bytes arrived as %d bytes", n, size, len(got))
		}
	}
}

// tooManyFrags: as many descriptors as a packet may have arrive; one more, and the packet is
// dropped as a whole while the next one passes.
func tooManyFrags(t *testing.T, l *lab.Lab, m Mode) {
	s := setup{mode: m, frags: true}
	a, b := open(t, l, lab.A, s), open(t, l, lab.B, s)
	const most = 18 // MAX_SKB_FRAGS and the linear part, in copy mode
	for n, pieces := range []int{most, most + 1, 1, most + 10, most, 1} {
		const piece = 128
		packet := frame(l, lab.A, n, pieces*piece)
		var descs []ring.Desc
		for i := range pieces {
			d := a.write(packet[i*piece : (i+1)*piece])[0]
			if i < pieces-1 {
				d.Options = ring.OptionMore
			}
			descs = append(descs, d)
		}
		if done := a.send(descs...); done != pieces {
			t.Errorf("packet of %d pieces: %d completed", pieces, done)
		}
		if pieces > most {
			if b.recv(0) != nil {
				t.Errorf("a packet of %d pieces arrived", pieces)
			}
		} else if got := b.recv(rigTimeout); !bytes.Equal(got, packet) {
			t.Errorf("a packet of %d pieces arrived as %d bytes of %d", pieces, len(got),
				len(packet))
		}
	}
}

// invalidFrags: a bad piece takes its whole packet with it, and the next packet passes.
func invalidFrags(t *testing.T, l *lab.Lab, m Mode) {
	s := setup{mode: m, frags: true}
	a, b := open(t, l, lab.A, s), open(t, l, lab.B, s)
	end := uint64(len(a.mem))
	const more = ring.OptionMore
	good := ring.Desc{Addr: 0x8000, Len: 128, Options: more}
	last := ring.Desc{Addr: 0x9000, Len: 128}
	for what, descs := range map[string][]ring.Desc{
		"address behind the end": {good, {Addr: end, Len: 128, Options: more}, last},
		"across the end":         {good, {Addr: end - 64, Len: 128, Options: more}, last},
		"across a chunk":         {good, {Addr: 0x4000 - 64, Len: 128, Options: more}, last},
		"longer than a chunk":    {good, {Addr: 0x4000, Len: 4097, Options: more}, last},
		"unknown option":         {good, {Addr: 0x4000, Len: 128, Options: 0xf0 | more}, last},
		"bad first":              {{Addr: end, Len: 128, Options: more}, good, last},
		"bad last":               {good, good, {Addr: end, Len: 128}},
	} {
		before := a.statistics().TxInvalid
		a.send(descs...)
		if got := b.recv(0); got != nil {
			t.Errorf("%s: a packet of %d bytes arrived", what, len(got))
		}
		if a.statistics().TxInvalid == before {
			t.Errorf("%s: not counted", what)
		}
		stream(t, l, a, b, lab.A, 0, 1, minFrame)
	}
}
