package daemon

import (
	"testing"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel"
)

// TestNobodyOutsidePosesAsThisHost sends frames that claim to come from the interface that they
// arrive at. Their replies would be for this host, and two echoes would answer each other for
// ever.
func TestNobodyOutsidePosesAsThisHost(t *testing.T) {
	l := newLab(t, lab.PairOptions{MTU: soakMTU, NoIPv6: true})
	d := startDaemon(t, l, nil)
	rt := openRuntime(t, attach.Options{Name: "echo", Socket: d.Socket()})
	turn := func(r *dataplane.Request) { r.Turn() }
	if err := rt.HandleRaw(echoType, turn); err != nil {
		t.Fatal(err)
	}
	if err := rt.HandleUDP(echoPort, turn); err != nil {
		t.Fatal(err)
	}
	runRuntime(t, rt)
	g := newGenerator(t, l, 1)
	g.flow.SrcMAC = g.flow.DstMAC
	const each = 16
	for range each {
		g.send(kindEcho, minFrame)
		g.send(kindUDP, minFrame)
	}
	g.flush()
	a := d.theAttachment()
	var q iokernel.QueueCounters
	var c iokernel.RuntimeCounters
	await(t, "all arrived", func() bool {
		d.loop.Do(func() { q, c = d.dataplane.QueueCounters(0), a.runtime.Counters() })
		return q.RxPackets == 2*each
	})
	if q.Drops[iokernel.DropOwnSource] != 2*each || c.RxPackets+c.TxPackets > 0 {
		t.Errorf("%d dropped as own source, %d reached the runtime, it sent %d; want %d, 0, 0",
			q.Drops[iokernel.DropOwnSource], c.RxPackets, c.TxPackets, 2*each)
	}
}
