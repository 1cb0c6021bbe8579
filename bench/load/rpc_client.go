package load

import (
	"encoding/binary"
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach/sessions"
	"github.com/dunlin-io/dunlin/dataplane/courier"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/handshake"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// rpcClient is a Transport whose requests are calls. It has one session, and can write to the
// server's memory in it as well. Whoever polls it sets now before.
type rpcClient struct {
	end      portEnd
	endpoint *transport.Endpoint
	worker   *dataplane.Worker
	courier  *courier.Courier
	solver   *sessions.Solver
	peer     transport.Peer
	now      core.Time

	session transport.SessionID // 0: none
	up      bool
	region  transport.RegionID // 0: not known yet
	bytes   int                // of a call
	data    [longCall]byte
	got     [burst]uint64
	count   int // of got

	cable   *cable // nil: the ends are joined
	writing bool   // keep writes under way
	flying  int    // writes
	written uint64 // bytes that are in place
	failed  uint64 // writes
	source  []byte
	piece   int // bytes of a write, at most writeBytes
}

// tagRegion marks the call that asks for the region, tagWrite a write.
const tagRegion = Damaged - 1

func newRPCClient(end portEnd, from, to wire.MAC, mtu int, who handshake.Config, key identity.Key,
) (*rpcClient, error) {
	c := &rpcClient{end: end, peer: transport.Peer{Path: transport.RawPath(from, to), Key: key}}
	c.source, c.piece = make([]byte, writeBytes), writeBytes
	for i := range c.source {
		c.source[i] = byte(i * 7)
	}
	config := rpcConfig(mtu)
	config.Handshake = who
	var err error
	if c.endpoint, err = transport.New(config); err != nil {
		return nil, err
	}
	c.worker, err = dataplane.NewWorker(end.port, end.cache, dataplane.WorkerConfig{
		MAC: from, MTU: mtu,
	})
	if err != nil {
		return nil, err
	}
	c.solver = sessions.NewSolver(func() {}) // whoever waits for it polls
	c.courier, err = courier.New(c.endpoint, c.worker, 0, c.solver, c.handle)
	return c, err
}

// handle takes what happened.
func (c *rpcClient) handle(now core.Time, ev transport.Event) {
	if ev.Session != c.session {
		return
	}
	switch ev.Kind {
	case transport.EventUp:
		c.up = true
	case transport.EventDown:
		c.up, c.session, c.region, c.flying = false, 0, 0, 0
	case transport.EventReply:
		c.reply(&ev)
	case transport.EventWritten:
		c.flying--
		if ev.Outcome != transport.Done {
			c.failed++
			return
		}
		c.written += uint64(c.piece)
		c.write(now, ev.Tag)
	}
}

func (c *rpcClient) reply(ev *transport.Event) {
	switch {
	case ev.Outcome != transport.Done: // the generator notices
	case ev.Tag == tagRegion:
		if len(ev.Data) == 8 {
			c.region = transport.RegionID(binary.BigEndian.Uint64(ev.Data))
		}
	case c.count < len(c.got):
		seq := checkPayload(ev.Data)
		if seq != ev.Tag {
			seq = Damaged
		}
		c.got[c.count] = seq
		c.count++
	}
}

// write keeps the place of that number written to.
func (c *rpcClient) write(now core.Time, place uint64) {
	if !c.writing {
		return
	}
	o := transport.Order{Session: c.session, Deadline: now + bulkPatience, Tag: place}
	t := transport.Target{Region: c.region, Offset: place * writeBytes, Stable: true}
	if _, err := c.endpoint.Write(now, o, t, c.source[:c.piece]); err == nil {
		c.flying++
	}
}

// bulkPatience is how long a write may take on a busy machine. (guess)
const bulkPatience = 10 * core.Second

// SetBytes implements Transport: of a call's data.
func (c *rpcClient) SetBytes(n int) error {
	if n < minPayload || n > longCall {
		return fmt.Errorf("load: calls of %d bytes: want %d to %d", n, minPayload, longCall)
	}
	c.bytes = n
	return nil
}

// Send implements Transport.
func (c *rpcClient) Send(seq uint64, n int) int {
	sent := 0
	for ; sent < n; sent++ {
		data := c.data[:c.bytes]
		putPayload(data, seq+uint64(sent))
		o := transport.Order{
			Session: c.session, Route: routeEcho, Deadline: c.now + lostAfter,
			Tag: seq + uint64(sent),
		}
		if _, err := c.endpoint.Call(c.now, o, data); err != nil {
			break
		}
	}
	if sent > 0 {
		c.courier.Push(c.now)
	}
	return sent
}

// Recv implements Transport.
func (c *rpcClient) Recv(dst []uint64) int {
	c.poll()
	n := copy(dst, c.got[:c.count])
	c.count = copy(c.got[:], c.got[n:c.count])
	return n
}

func (c *rpcClient) poll() {
	if c.cable != nil {
		c.cable.turn(c.now)
	}
	c.worker.Poll(c.now)
	c.courier.Poll(c.now)
}

// Times of a run's begin and end.
const (
	// connectPatience is for a handshake, and one lost message of it. (guess)
	connectPatience = 2 * core.Second
	// settleFor is how long the ends are left alone after a run, so that nothing is out when they
	// are stopped: acknowledgements of replies are held for 0.5 ms.
	settleFor = 2 * core.Millisecond
)

// connect makes sure that there is a session, and a region to write to. If nobody answers, whoever
// makes calls counts that.
func (c *rpcClient) connect(t turner) (err error) {
	t.do(func() {
		if c.count = 0; c.session == 0 {
			c.session, err = c.endpoint.Connect(c.now, c.peer)
		}
	})
	if err != nil || !t.await(connectPatience, func() bool { return c.up }) {
		return err
	}
	t.do(func() {
		if c.region != 0 {
			return
		}
		_, err = c.endpoint.Call(c.now, transport.Order{
			Session: c.session, Route: routeRegion, Deadline: c.now + connectPatience,
			Tag: tagRegion,
		}, nil)
	})
	if err != nil {
		return fmt.Errorf("load: ask for a region: %w", err)
	}
	t.await(connectPatience, func() bool { return c.region != 0 })
	return nil
}

// beginBulk and endBulk have writes under way between them.
func (c *rpcClient) beginBulk() {
	c.writing, c.written, c.failed = true, 0, 0
	for place := range uint64(writesOut) {
		c.write(c.now, place)
	}
}

func (c *rpcClient) endBulk(t turner) {
	t.do(func() { c.writing = false })
	t.await(bulkPatience, func() bool { return c.flying == 0 })
}

// settle leaves nothing unsaid.
func (c *rpcClient) settle(t turner) { t.await(settleFor, func() bool { return false }) }

func (c *rpcClient) close() {
	c.solver.Close()
	c.endpoint.Wipe()
}

var _ Transport = (*rpcClient)(nil)
