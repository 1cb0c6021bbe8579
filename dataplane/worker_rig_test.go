package dataplane_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

const (
	chunkBytes   = 2048
	segmentBytes = chunkBytes - 256 // what memlink puts into a chunk
	servicePort  = 7777
	clientPort   = 40000
)

var (
	serverMAC = wire.MAC{2, 0, 0, 0, 0, 1}
	clientMAC = wire.MAC{2, 0, 0, 0, 0, 2}
	server4   = netip.MustParseAddr("192.0.2.1")
	client4   = netip.MustParseAddr("198.51.100.2")
	server6   = netip.MustParseAddr("2001:db8::1")
	client6   = netip.MustParseAddr("2001:db8:1::2")
)

// served is a worker at one end of a wire, and a client at the other that sends and receives bytes.
type served struct {
	worker *dataplane.Worker
	wire   *memlink.Wire
	near   *dataplane.Cache // the worker's
	far    *dataplane.Cache // the client's
	now    core.Time
}

func newServed(t failer, c dataplane.WorkerConfig, m memlink.Config) *served {
	t.Helper()
	s := &served{near: newCache(t, 256), far: newCache(t, 1024)}
	var err error
	if s.wire, err = memlink.New(s.near, s.far, m); err != nil {
		t.Fatal(err)
	}
	if s.worker, err = dataplane.NewWorker(s.wire.A(), s.near, c); err != nil {
		t.Fatal(err)
	}
	return s
}

func newCache(t failer, chunks int) *dataplane.Cache {
	t.Helper()
	return newCacheOf(t, chunks, chunkBytes)
}

// newCacheOf returns the only cache of a new pool.
func newCacheOf(t failer, chunks, size int) *dataplane.Cache {
	t.Helper()
	pool, err := dataplane.NewPool(make([]byte, chunks*size),
		dataplane.PoolConfig{ChunkBytes: size, Caches: 1})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := pool.Cache()
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// handleAll serves raw packets and UDP with h.
func (s *served) handleAll(t failer, h dataplane.Handler) {
	t.Helper()
	if err := s.worker.HandleRaw(wire.EtherTypeDunlin, h); err != nil {
		t.Fatal(err)
	}
	err := s.worker.HandleUDP(netip.AddrPortFrom(netip.Addr{}, servicePort), h)
	if err != nil {
		t.Fatal(err)
	}
}

// send puts packets on the client's end.
func (s *served) send(t failer, packets ...[]byte) {
	t.Helper()
	for _, b := range packets {
		var frames []dataplane.Frame
		for first := true; first || len(b) > 0; first = false {
			index, ok := s.far.Alloc()
			if !ok {
				t.Fatal("the client has no frames")
			}
			n := copy(s.far.Pool().Chunk(index), b)
			b = b[n:]
			f := dataplane.Frame{Index: index, Len: uint16(n)}
			if len(b) > 0 {
				f.Len |= dataplane.FrameMore
			}
			frames = append(frames, f)
		}
		if n := s.wire.B().Send(frames); n != len(frames) {
			t.Fatalf("the client's end took %d of %d frames", n, len(frames))
		}
	}
	s.wire.B().Flush()
}

// receive takes what has arrived at the client.
func (s *served) receive() (packets [][]byte) {
	var burst [dataplane.MaxBurst]dataplane.Frame
	for {
		frames := burst[:s.wire.B().Recv(burst[:])]
		if len(frames) == 0 {
			return packets
		}
		for len(frames) > 0 {
			n := dataplane.Segments(frames)
			var b []byte
			for _, f := range frames[:n] {
				b = append(b, s.far.Pool().Bytes(f)...)
			}
			packets = append(packets, b)
			s.far.FreeAll(frames[:n])
			frames = frames[n:]
		}
	}
}

// run moves packets and runs turns until nothing moves any more.
func (s *served) run() {
	for idle := 0; idle < 2; {
		s.now++
		if s.wire.Poll(s.now)+s.worker.Poll(s.now) == 0 {
			idle++
		} else {
			idle = 0
		}
	}
}

// exchange sends packets, lets the worker serve them and returns what came back.
func (s *served) exchange(t failer, packets ...[]byte) [][]byte {
	t.Helper()
	s.send(t, packets...)
	s.run()
	s.audit(t)
	return s.receive()
}

// audit checks that the worker's frames and packets are accounted for.
func (s *served) audit(t failer) {
	t.Helper()
	l := s.wire.A().Lent()
	free := s.near.Pool().Stored() + s.near.Count()
	if free+l.Rx+l.Tx+s.worker.Held() != s.near.Pool().Chunks() {
		t.Fatalf("%d frames free, %+v lent, %d held, of %d", free, l, s.worker.Held(),
			s.near.Pool().Chunks())
	}
	c := s.worker.Counters()
	sum := c.Replies + c.Silent
	for _, n := range c.Dropped {
		sum += n
	}
	if sum != c.Packets {
		t.Fatalf("%d packets are accounted for, %d were received: %+v", sum, c.Packets, c)
	}
}

// dropped is the reason of the only packet that was dropped.
func (s *served) dropped(t failer) dataplane.Reason {
	t.Helper()
	found, count := dataplane.OK, uint64(0)
	for r, n := range s.worker.Counters().Dropped {
		if n > 0 {
			found = dataplane.Reason(r)
			count += n
		}
	}
	if count != 1 {
		t.Fatalf("%d packets dropped, want 1", count)
	}
	return found
}

// build has gopacket make a packet, lengths and checksums included: not our own code.
func build(t failer, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	for i, l := range all {
		if u, ok := l.(*layers.UDP); ok {
			if err := u.SetNetworkLayerForChecksum(all[i-1].(gopacket.NetworkLayer)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b,
		gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b.Bytes())
}

func ethernet(src, dst wire.MAC, et layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: src[:], DstMAC: dst[:], EthernetType: et}
}

// raw is a raw packet from the client to the server, or back.
func raw(t failer, src, dst wire.MAC, payload []byte) []byte {
	t.Helper()
	b := build(t, ethernet(src, dst, layers.EthernetType(wire.EtherTypeDunlin)),
		gopacket.Payload(payload))
	return b[:wire.EthernetBytes+len(payload)] // gopacket pads to 60 bytes
}

// udp is a datagram, of the addresses' IP version.
func udp(t failer, src, dst netip.AddrPort, srcMAC, dstMAC wire.MAC, payload []byte) []byte {
	t.Helper()
	u := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	if src.Addr().Is4() {
		b := build(t, ethernet(srcMAC, dstMAC, layers.EthernetTypeIPv4),
			&layers.IPv4{
				Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolUDP,
				Flags: layers.IPv4DontFragment, SrcIP: src.Addr().AsSlice(),
				DstIP: dst.Addr().AsSlice(),
			},
			u, gopacket.Payload(payload))
		return b[:wire.UDP4Bytes+len(payload)]
	}
	return build(t, ethernet(srcMAC, dstMAC, layers.EthernetTypeIPv6),
		&layers.IPv6{
			Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP,
			SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice(),
		},
		u, gopacket.Payload(payload))
}

// request and reply are the two directions of one exchange: "raw", "udp4" or "udp6".
func request(t failer, kind string, payload []byte) []byte {
	t.Helper()
	switch kind {
	case "raw":
		return raw(t, clientMAC, serverMAC, payload)
	case "udp4":
		return udp(t, netip.AddrPortFrom(client4, clientPort),
			netip.AddrPortFrom(server4, servicePort), clientMAC, serverMAC, payload)
	default:
		return udp(t, netip.AddrPortFrom(client6, clientPort),
			netip.AddrPortFrom(server6, servicePort), clientMAC, serverMAC, payload)
	}
}

func reply(t failer, kind string, payload []byte) []byte {
	t.Helper()
	switch kind {
	case "raw":
		return raw(t, serverMAC, clientMAC, payload)
	case "udp4":
		return udp(t, netip.AddrPortFrom(server4, servicePort),
			netip.AddrPortFrom(client4, clientPort), serverMAC, clientMAC, payload)
	default:
		return udp(t, netip.AddrPortFrom(server6, servicePort),
			netip.AddrPortFrom(client6, clientPort), serverMAC, clientMAC, payload)
	}
}

var kinds = [...]string{"raw", "udp4", "udp6"}

// same fails unless got is exactly the packets of want.
func same(t *testing.T, what string, got [][]byte, want ...[]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d packets, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("%s: packet %d:\n got %d bytes %x\nwant %d bytes %x", what, i,
				len(got[i]), got[i][:min(len(got[i]), 80)], len(want[i]),
				want[i][:min(len(want[i]), 80)])
		}
	}
}
