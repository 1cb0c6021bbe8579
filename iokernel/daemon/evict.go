package daemon

import (
	"context"

	"github.com/dunlin-io/dunlin/iokernel"
)

// evict tells runtimes that broke the rules of their rings why they are cut off.
func (d *Daemon) evict(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.evictions:
		}
		var list []iokernel.Eviction
		d.loop.Do(func() {
			for e, ok := d.dataplane.NextEviction(); ok; e, ok = d.dataplane.NextEviction() {
				list = append(list, e)
			}
		})
		for _, e := range list {
			d.evictOne(e)
		}
	}
}

func (d *Daemon) evictOne(e iokernel.Eviction) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.evicted[e.Runtime.Name()] == nil {
		d.evicted[e.Runtime.Name()] = new([iokernel.ViolationCount]uint64)
	}
	d.evicted[e.Runtime.Name()][e.Violation]++
	log := d.log.With("runtime", e.Runtime.Name())
	for by, a := range d.attached {
		if a.runtime == e.Runtime && !a.cut {
			a.cut = true
			log = log.With("pid", a.peer.PID, "uid", a.peer.UID)
			by.Evict("it " + e.Violation.String())
		}
	}
	log.Error("iokernel: runtime evicted", "reason", e.Violation.String())
}
