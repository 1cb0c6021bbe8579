package control

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Counters are what happened on the socket since it was opened.
type Counters struct {
	Connections uint64 // accepted from the kernel, later refused ones included
	Attached    uint64
	Detached    uint64
	Refused     map[Code]uint64 // by reason; those that are not 0
}

// codes are all reasons, in the order of counts.refused.
var codes = [...]Code{
	CodeMalformed, CodeVersion, CodeOversize, CodeFiles, CodeSilent, CodeOrder,
	CodeDenied, CodeBusy, CodeInternal,
}

// counts are written by every connection.
type counts struct {
	connections, attached, detached atomic.Uint64
	refused                         [len(codes)]atomic.Uint64
}

func (c *counts) refuse(code Code) {
	for i := range codes {
		if codes[i] == code {
			c.refused[i].Add(1)
		}
	}
}

func (c *counts) read() Counters {
	r := Counters{
		Connections: c.connections.Load(),
		Attached:    c.attached.Load(),
		Detached:    c.detached.Load(),
		Refused:     map[Code]uint64{},
	}
	for i := range codes {
		if n := c.refused[i].Load(); n > 0 {
			r.Refused[codes[i]] = n
		}
	}
	return r
}

// refusalsPerSecond bounds what a misbehaving client can make us log, in lines. (guess)
const refusalsPerSecond = 10

// refusalLog logs refusals, but not more than somebody can read.
type refusalLog struct {
	log *slog.Logger

	mu         sync.Mutex
	second     time.Time // when the current one began
	lines      int       // logged in it
	suppressed uint64    // not logged since the last line
}

func (l *refusalLog) add(now time.Time, c Credentials, r *Refusal) {
	l.mu.Lock()
	if now.Sub(l.second) >= time.Second {
		l.second, l.lines = now, 0
	}
	if l.lines == refusalsPerSecond {
		l.suppressed++
		l.mu.Unlock()
		return
	}
	l.lines++
	suppressed := l.suppressed
	l.suppressed = 0
	l.mu.Unlock()
	l.log.LogAttrs(context.Background(), slog.LevelWarn, "control: refused",
		slog.String("code", string(r.Code)), slog.String("why", r.Message),
		slog.Int("pid", c.PID), slog.Uint64("uid", uint64(c.UID)),
		slog.Uint64("unlogged", suppressed))
}
