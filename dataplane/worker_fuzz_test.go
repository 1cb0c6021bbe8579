package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

var anyAddress = netip.AddrPortFrom(netip.Addr{}, servicePort)

// FuzzWorker feeds any bytes, in frames of any size, to a worker whose handler uses all of a
// request. It must not panic or lose a frame, each packet is counted once, and what leaves is what
// gopacket would build.
func FuzzWorker(f *testing.F) {
	for i, kind := range kinds {
		f.Add(request(f, kind, pattern(30)), uint16(2000), i == 0)
		f.Add(request(f, kind, pattern(300)), uint16(100), i == 1)
		f.Add(append(request(f, kind, nil), pattern(20)...), uint16(70), true)
	}
	f.Add([]byte{}, uint16(0), false)
	f.Fuzz(func(t *testing.T, b []byte, segment uint16, verify bool) {
		const chunks = 128
		l := &scriptedLink{cache: newCache(t, chunks)}
		w, err := dataplane.NewWorker(l, l.cache, dataplane.WorkerConfig{VerifyChecksums: verify})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.HandleUDP(anyAddress, exercise); err != nil {
			t.Fatal(err)
		}
		if err := w.HandleRaw(wire.EtherTypeDunlin, exercise); err != nil {
			t.Fatal(err)
		}
		size := max(1, min(int(segment), chunkBytes))
		b = b[:min(len(b), size*dataplane.MaxSegments)]
		if len(b) == 0 {
			return
		}
		for range 3 {
			l.wait(t, b, size)
		}
		for now := core.Time(0); w.Poll(now) > 0; now++ {
		}
		for rest := l.out; len(rest) > 0; {
			n := dataplane.Segments(rest)
			if n == 0 {
				t.Fatalf("sent a part of a packet: %v", rest)
			}
			var sent []byte
			for _, f := range rest[:n] {
				sent = append(sent, l.cache.Pool().Bytes(f)...)
			}
			checkWithOracle(t, sent)
			rest = rest[n:]
		}
		l.drain()
		c := w.Counters()
		sum := c.Replies + c.Silent
		for _, n := range c.Dropped {
			sum += n
		}
		free := l.cache.Count() + l.cache.Pool().Stored()
		if free != chunks || c.Packets != 3 || sum != 3 {
			t.Fatalf("%d frames free, %+v", free, c)
		}
	})
}
