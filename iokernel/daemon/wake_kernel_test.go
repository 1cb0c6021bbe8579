package daemon

import (
	"testing"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane/attach"
)

// TestNobodyBlocksTheIokernel has a runtime use the files by which it and the iokernel wake each
// other against the iokernel. A runtime beside it must not notice.
func TestNobodyBlocksTheIokernel(t *testing.T) {
	l := newLab(t, lab.PairOptions{Neighbours: true})
	d := startDaemon(t, l, func(o *Options) {
		withOther(o)
		forNobody(t, o)
	})
	runEcho(t, attach.Options{Name: "echo", Socket: d.Socket()})
	victim := startClient(t, l)
	startTraffic(t, l, otherPort)
	for range 3 {
		c := startChild(t, "hostile", d.Socket(), otherName, modeMediated, stubborn)
		if words := c.wait(t); words != "" {
			t.Error(words)
		}
		await(t, "detached", func() bool { return d.attachmentOf(otherName) == nil })
	}
	victim.stop(t)
}
