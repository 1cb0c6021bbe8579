package cores

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// logged is how many decisions are remembered. (guess: 10 ms of a busy machine; 48 KiB)
const logged = 1024

// decisions are the last ones.
type decisions struct {
	ring [logged]decision
	made uint64
}

// decision is one, with what it went by. Names are looked up when somebody asks.
type decision struct {
	at      core.Time
	action  policy.Action
	delay   core.Time // of whoever was granted the core
	waiting int32
	from    uint64 // ids: a place may have another runtime in it by the time somebody asks
	to      uint64
}

func (d *decisions) add(e decision) {
	d.ring[d.made%logged] = e
	d.made++
}
