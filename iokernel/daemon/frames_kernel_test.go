package daemon

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// kind is what becomes of a frame of the generator.
type kind uint8

const (
	kindEcho     kind = iota // comes back in the frames that it arrived in
	kindCopy                 // its beginning comes back in a frame of the runtime's
	kindUDP                  // comes back, as a UDP packet
	kindExtra                // comes back, and with it goes a frame of an EtherType not granted
	kindSilent               // the handler says nothing
	kindDecline              // the handler declines
	kindUnserved             // an EtherType of the runtime's for which it has no handler
	kindLong                 // up to 4 B longer than the MTU, which veth lets pass for VLAN tags
	kindStray                // an EtherType that nobody registered
	kindOther                // to another host's MAC
	kindGroup                // multicast
	kindEmpty                // no payload
	kindBadIP                // an IPv4 packet that claims to be longer than its frame
	kindBadUDP               // a UDP packet to the runtime that claims the same
	kindGiant                // longer than anything that the interface takes
	kinds
)

var kindText = [kinds]string{
	"echo", "copy", "udp", "extra", "silent", "decline", "unserved",
	"long", "stray", "other host", "group", "empty", "bad ip", "bad udp", "giant",
}

func (k kind) String() string { return kindText[k] }

// answered reports whether the runtime sends a frame of this kind back. One longer than the MTU it
// only turns around: who may not send it is up to the iokernel, or in direct mode to nobody.
func (k kind) answered() bool { return k <= kindExtra }

const (
	echoType     wire.EtherType = 0x88B5 // served
	unservedType wire.EtherType = 0x88B6 // granted, not served
	foreignType  wire.EtherType = 0x88B7 // not granted

	soakMTU    = 9000
	minFrame   = 60
	maxFrame   = soakMTU + wire.EthernetBytes
	vlanSlack  = 4   // VLAN_HLEN, by which veth lets a frame exceed its MTU
	giantFrame = 300 // bytes beyond that
	copyBytes  = 200 // of the payload, for kindCopy

	// Behind the headers stand kind, a zero, the frame's bytes and its sequence number.
	markBytes = 12
)

// mark is what a frame says about itself.
type mark struct {
	kind kind
	size int
	seq  uint64
}

func (m mark) put(b []byte) {
	b[0], b[1] = byte(m.kind), 0
	binary.BigEndian.PutUint16(b[2:], uint16(m.size))
	binary.BigEndian.PutUint64(b[4:], m.seq)
}

func markOf(b []byte) mark {
	return mark{
		kind: kind(b[0]), size: int(binary.BigEndian.Uint16(b[2:])),
		seq: binary.BigEndian.Uint64(b[4:]),
	}
}

// pattern is what frames are filled with: each begins somewhere else in it.
type pattern [1<<16 + maxFrame + vlanSlack + giantFrame]byte

func newPattern(r *rand.Rand) *pattern {
	p := new(pattern)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// of is the filling of a frame.
func (p *pattern) of(m mark) []byte {
	at := m.seq * 40503 & 0xffff // a prime, so that neighbours differ
	return p[at : at+uint64(m.size)]
}

// pickSize draws a size: half up to an ordinary MTU, a quarter small, a quarter up to the jumbo
// MTU.
func pickSize(r *rand.Rand) int {
	switch r.IntN(4) {
	case 0:
		return minFrame + r.IntN(140)
	case 1:
		return 1515 + r.IntN(maxFrame-1515+1)
	}
	return minFrame + r.IntN(1514-minFrame+1)
}

// pickKind draws a kind: three of four are answered.
func pickKind(r *rand.Rand) kind {
	if r.IntN(4) > 0 {
		return kind(r.IntN(int(kindExtra) + 1))
	}
	return kind(r.IntN(int(kinds)))
}

// headers writes those of a frame and returns where its mark goes.
func (g *generator) headers(b []byte, k kind, size int) int {
	ours, theirs := g.flow.SrcMAC, g.flow.DstMAC
	et := echoType
	switch k {
	case kindUDP, kindBadUDP:
		payload := size - wire.UDP4Bytes
		wire.PutUDP4(b, &g.flow, payload)
		if k == kindBadUDP {
			wire.UDP(b[wire.UDP4Bytes-wire.UDPBytes:]).SetLen(wire.UDPBytes + payload + 1)
		}
		return wire.UDP4Bytes
	case kindBadIP:
		wire.PutUDP4(b, &g.flow, size-wire.UDP4Bytes)
		ip := wire.IPv4(b[wire.EthernetBytes:])
		ip.SetTotalLen(size)
		ip.UpdateChecksum()
		return wire.UDP4Bytes
	case kindUnserved:
		et = unservedType
	case kindStray:
		et = foreignType
	case kindOther:
		theirs[5] ^= 1
	case kindGroup:
		theirs = wire.MAC{0x01, 0, 0x5e, 0, 0, 1}
	}
	wire.PutEthernet(b, theirs, ours, et)
	return wire.EthernetBytes
}

// serve is the runtime's handler.
func serve(r *dataplane.Request) {
	b := r.Payload()
	switch m := markOf(b); m.kind {
	case kindSilent:
	case kindDecline:
		r.Decline()
	case kindCopy:
		n := min(copyBytes, r.PayloadLen())
		if out := r.Reply(n); out != nil {
			r.CopyPayload(out)
		}
	case kindExtra:
		r.Worker().SendRaw(r.SourceMAC(), foreignType, b[:markBytes])
		r.Turn()
	default:
		r.Turn()
	}
}

// check compares what came back with what was sent.
func (g *generator) check(pieces [][]byte) error {
	first := pieces[0]
	total := 0
	for _, b := range pieces {
		total += len(b)
	}
	at := wire.EthernetBytes
	switch et := wire.Ethernet(first).EtherType(); et {
	case echoType:
	case wire.EtherTypeIPv4:
		at = wire.UDP4Bytes
	case foreignType:
		g.extra++
		return nil
	default:
		return fmt.Errorf("a frame of EtherType %v", et)
	}
	m := markOf(first[at:])
	want := m.size
	if m.kind == kindCopy {
		want = min(want, wire.EthernetBytes+copyBytes)
	}
	switch {
	case total != want:
		return fmt.Errorf("a reply of %d bytes to %v", total, m)
	case m.seq <= g.last && g.last > 0:
		return fmt.Errorf("reply to %v after %d: twice, or out of order", m, g.last)
	case m.seq > g.seq:
		return fmt.Errorf("reply to %v, only %d were sent", m, g.seq)
	}
	g.last = m.seq
	filling := g.pattern.of(m)[at+markBytes : want]
	pieces[0] = first[at+markBytes:]
	for i, b := range pieces {
		if !bytes.Equal(b, filling[:len(b)]) {
			return fmt.Errorf("reply to %v differs in segment %d of %d", m, i, len(pieces))
		}
		filling = filling[len(b):]
	}
	g.got[m.kind]++
	return nil
}
