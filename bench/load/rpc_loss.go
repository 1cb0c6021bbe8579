package load

import (
	"context"
	"fmt"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/lab/wire"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
	"github.com/dunlin-io/dunlin/core/pin"
)

// Goodput by loss, on the wire box: the table of the simulator, measured.
//
//	client ═ veth ═ tap ─ box ─ tap ═ veth ═ server
//
// The box is polled on the client's thread, so that it waits for no CPU. It copies each frame
// through two packet sockets: compare these rows with each other, not with the other bulk.

// losses are the rows, the one without loss first.
var losses = [...]struct {
	name string
	part float64 // of the frames of each direction
}{
	{"goodput/0", 0},
	{"goodput/0.1", 0.001},
	{"goodput/1", 0.01},
	{"goodput/10", 0.1},
	{"goodput/30", 0.3},
}

// lossPiece is how much is written remotely at once: so little that a short time, with losses,
// holds many of them. (guess)
const lossPiece = 32 << 10

func lossNames() (names []string) {
	for _, l := range losses {
		names = append(names, l.name)
	}
	return names
}

// cable is a box that the client's thread polls.
type cable struct {
	box   *wire.Box
	begun core.Time // when the script's clock started, 0: it has not
	err   error     // the first one
}

// newCable makes a box that loses so much in each direction.
func newCable(taps [2]*wire.Tap, loss float64) (*cable, error) {
	s := fabric.Script{Seed: 1, Hosts: 2}
	for from := range 2 {
		s.Steps = append(s.Steps, fabric.Step{
			From: from, To: 1 - from, Faults: fault.Config{Loss: loss},
		})
	}
	box, err := wire.New(taps[0], taps[1], s)
	return &cable{box: box}, err
}

// turn carries what waits.
func (c *cable) turn(now core.Time) {
	if c.begun == 0 {
		c.begun = now
	}
	if _, err := c.box.Turn(now - c.begun); err != nil && c.err == nil {
		c.err = err
	}
}

// lossDriver writes through a cable that loses frames. A whole one carries the handshake before,
// and what is under way afterwards.
type lossDriver struct {
	rpcDriver

	lossy, whole *cable
}

func (d *lossDriver) run(ctx context.Context, p Plan) (Result, error) {
	d.client.cable = d.whole
	if err := d.client.connect(d.turner); err != nil {
		return Result{}, err
	}
	defer d.client.settle(d.turner)
	d.turner.do(func() { d.client.cable = d.lossy })
	r, err := d.measure(ctx, p)
	d.turner.do(func() { d.client.cable = d.whole })
	d.client.endBulk(d.turner)
	for _, c := range []*cable{d.whole, d.lossy} {
		if err == nil && c.err != nil {
			err = fmt.Errorf("load: %w", c.err)
		}
	}
	r.Faults.Lost = d.client.failed
	return r, err
}

// upLosses joins two pairs by a box, a client at one end and a server at the other.
func upLosses(s *site) ([]*entrant, error) {
	near, err := s.pair("near", lab.B)
	if err != nil {
		return nil, err
	}
	far, err := s.pair("far", lab.A)
	if err != nil {
		return nil, err
	}
	var taps [2]*wire.Tap
	for i, at := range []struct {
		p    *lab.Pair
		side lab.Side
	}{{near, lab.B}, {far, lab.A}} {
		err := s.lab.In(at.side, func() (err error) {
			taps[i], err = wire.Open(at.p.Ends[at.side].Name)
			return err
		})
		if err != nil {
			return nil, err
		}
		s.atClose(taps[i].Close)
	}
	k := rpcKind{pair: "loss", mtu: plainMTU}
	p := &lab.Pair{Ends: [2]lab.End{near.Ends[lab.A], far.Ends[lab.B]}}
	client, server, _, err := k.talk(s, p)
	if err != nil {
		return nil, err
	}
	client.piece = lossPiece
	whole, err := newCable(taps, 0)
	if err != nil {
		return nil, err
	}
	var all []*entrant
	for _, l := range losses {
		lossy, err := newCable(taps, l.part)
		if err != nil {
			return nil, err
		}
		d := &lossDriver{rpcDriver{
			turner: bareTurner{s.thread, pin.NewClock(), client}, client: client,
			generator: NewGenerator(client, s.o.samples()),
		}, lossy, whole}
		all = append(all, &entrant{l.name, []*child{server}, map[report.Loop]driver{
			report.Stream: d, report.Closed: &callsThrough{d}, // the latter to see that it answers
		}})
	}
	return all, nil
}

// callsThrough makes calls through the whole cable.
type callsThrough struct{ *lossDriver }

func (d *callsThrough) run(ctx context.Context, p Plan) (Result, error) {
	d.client.cable = d.whole
	return d.rpcDriver.run(ctx, p)
}
