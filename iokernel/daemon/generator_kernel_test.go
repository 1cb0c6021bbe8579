package daemon

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/xdp"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

const (
	generatorChunks = 4096
	generatorRing   = 1024
	generatorRx     = 512 // less than generatorRing: here the ring runs out, at B the chunks

	// stallAfter so long without a reply what is out was lost, or nobody woke up. (guess)
	stallAfter = time.Second
)

// generator sends frames of all kinds from end A, over a socket of its own that takes everything
// that arrives there, and checks what comes back. It belongs to the test's goroutine.
type generator struct {
	t       *testing.T
	lab     *lab.Lab
	flow    wire.UDPFlow
	socket  *xdp.Socket
	pool    *dataplane.Pool
	cache   *dataplane.Cache
	port    *dataplane.Port
	rand    *rand.Rand
	pattern *pattern
	in      [dataplane.MaxBurst]dataplane.Frame
	out     []dataplane.Frame
	pieces  [][]byte

	seq     uint64 // of the last frame sent
	last    uint64 // of the last reply
	sent    [kinds]uint64
	got     [kinds]uint64
	extra   uint64 // frames that the runtime sent of its own accord
	packets uint64 // received
}

func newGenerator(t *testing.T, l *lab.Lab, seed uint64) *generator {
	t.Helper()
	g := &generator{t: t, lab: l, rand: rand.New(rand.NewPCG(seed, 0))}
	g.pattern = newPattern(g.rand)
	a, b := l.End(lab.A), l.End(lab.B)
	g.flow = wire.UDPFlow{
		SrcMAC: a.MAC, DstMAC: b.MAC,
		Src: wire.UDPAddrFrom(netip.AddrPortFrom(a.IPv4, 40000)),
		Dst: wire.UDPAddrFrom(netip.AddrPortFrom(b.IPv4, echoPort)),
	}
	program, err := bpf.LoadRedirect(1, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	memory, err := mem.Create("generator", generatorChunks*dataplane.MaxChunkBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { memory.Close() })
	in(t, l, lab.A, func() error {
		i, err := xdp.Open(xdp.Options{Interface: a.Name, Program: program, Frags: true})
		if err != nil {
			return err
		}
		t.Cleanup(func() {
			if err := i.Close(); err != nil {
				t.Error(err)
			}
		})
		const n = generatorRing
		g.socket, err = i.OpenSocket(0, memory.Bytes, xdp.SocketOptions{
			Name:  "generator",
			Rings: sock.Sizes{Fill: n, Completion: 2 * n, Rx: generatorRx, Tx: 2 * n},
		})
		if err != nil {
			return err
		}
		return i.Register(g.socket, 0)
	})
	g.pool, err = dataplane.NewPool(memory.Bytes, dataplane.PoolConfig{
		ChunkBytes: dataplane.MaxChunkBytes, Caches: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if g.cache, err = g.pool.Cache(); err != nil {
		t.Fatal(err)
	}
	if g.port, err = g.socket.Port(g.cache, dataplane.PortConfig{}); err != nil {
		t.Fatal(err)
	}
	return g
}

// total is how many frames were sent.
func (g *generator) total() uint64 { return g.seq }

// answers is how many replies came.
func (g *generator) answers() (n uint64) {
	for _, k := range g.got {
		n += k
	}
	return n
}

// send sends one frame.
func (g *generator) send(k kind, size int) {
	switch {
	case k == kindLong:
		size = maxFrame + 1 + g.rand.IntN(vlanSlack)
	case k == kindGiant:
		size = maxFrame + vlanSlack + 1 + g.rand.IntN(giantFrame)
	case k == kindEmpty:
		size = wire.EthernetBytes
	case size < minFrame:
		size = minFrame
	}
	g.seq++
	m := mark{k, size, g.seq}
	filling := g.pattern.of(m)
	for done := 0; done < size; {
		index := g.alloc()
		b := g.pool.Chunk(index)
		n := copy(b, filling[done:])
		if done == 0 {
			if at := g.headers(b, k, size); k != kindEmpty {
				m.put(b[at:])
			}
		}
		f := dataplane.Frame{Index: index, Len: uint16(n)}
		if done += n; done < size {
			f.Len |= dataplane.FrameMore
		}
		g.out = append(g.out, f)
	}
	g.sent[k]++
}

// alloc waits for a chunk: the kernel has them for a while when its ring is full.
func (g *generator) alloc() uint32 {
	for start := time.Now(); ; {
		if index, ok := g.cache.Alloc(); ok {
			return index
		}
		g.flush()
		g.recv() // gives back what was sent
		if time.Since(start) > quietTimeout {
			g.t.Fatalf("no chunk to send from for %v: %+v of %+v", quietTimeout, g.port.Lent(),
				g.port.Counters())
		}
	}
}

// flush hands the kernel what send made; all of it is gone then.
func (g *generator) flush() {
	for start := time.Now(); ; {
		n := g.port.Send(g.out)
		g.out = append(g.out[:0], g.out[n:]...)
		g.port.Flush()
		if len(g.out) == 0 {
			return
		}
		if time.Since(start) > quietTimeout {
			g.t.Fatalf("the kernel takes nothing for %v: %+v", quietTimeout, g.port.Counters())
		}
	}
}

// recv takes one burst and reports whether there was any.
func (g *generator) recv() bool {
	n := g.port.Recv(g.in[:])
	g.port.Flush()
	for frames := g.in[:n]; len(frames) > 0; {
		k := dataplane.Segments(frames)
		g.pieces = g.pieces[:0]
		for _, f := range frames[:k] {
			g.pieces = append(g.pieces, g.pool.Bytes(f))
		}
		if err := g.check(g.pieces); err != nil {
			g.t.Fatalf("generator: %v", err)
		}
		g.packets++
		g.cache.FreeAll(frames[:k])
		frames = frames[k:]
	}
	return n > 0
}

// steady sends n frames of mixed kinds, of which at most window wait for their reply, and returns
// how often nothing came back for a while.
func (g *generator) steady(n, window int, pick func(*rand.Rand) kind) (stalls int) {
	out, answers := 0, g.answers()
	for progress := time.Now(); n > 0 || out > 0; {
		for range min(n, window-out) {
			k := pick(g.rand)
			g.send(k, pickSize(g.rand))
			n--
			if k.answered() {
				out++
			}
		}
		g.flush()
		if g.recv() {
			progress = time.Now()
		} else if time.Since(progress) > stallAfter {
			out, stalls, progress = 0, stalls+1, time.Now()
		}
		now := g.answers()
		out = max(out-int(now-answers), 0)
		answers = now
	}
	return stalls
}

// flood sends n frames as fast as it can. A deaf one does not look for replies.
func (g *generator) flood(n int, deaf bool, pick func(*rand.Rand) (kind, int)) {
	for range n {
		g.send(pick(g.rand))
		if len(g.out) < dataplane.MaxBurst {
			continue
		}
		g.flush()
		if !deaf {
			g.recv()
		}
	}
	g.flush()
}

// audit says where the generator's chunks are, and an error unless each is somewhere.
func (g *generator) audit() error {
	return conserved("generator", g.pool, g.cache, g.port.Lent(), len(g.out))
}

// conserved reports an error unless every chunk of a pool is in exactly one place.
func conserved(who string, p *dataplane.Pool, c *dataplane.Cache, lent dataplane.Lent,
	held int,
) error {
	free := p.Stored() + c.Count()
	if all := free + lent.Rx + lent.Tx + held; all != p.Chunks() {
		return fmt.Errorf("%s: %d chunks free, %d lent to receive, %d lent to transmit, %d held: "+
			"that is %d of %d", who, free, lent.Rx, lent.Tx, held, all, p.Chunks())
	}
	return nil
}
