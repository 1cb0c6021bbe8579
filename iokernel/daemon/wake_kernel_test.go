package daemon

import (
	"testing"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane/attach"
)

func TestNobodyBlocksTheIokernel(t *testing.T) {
	l := newLab(t, lab.PairOptions{Neighbours: true})
	d := startDaemon(t, l, func(o *Options) {
		withOther(o)
		forNobody(t, o)
	})
	runEcho(t, attach.Options{Name: "echo", Socket: d.Socket()})
	victim := startClient(t, l)
	startTraffic(t, l, otherPort)
	c := startChild(t, "hostile", d.Socket(), otherName, modeMediated, "block")
	t.Log(c.wait(t))
	victim.stop(t)
}
