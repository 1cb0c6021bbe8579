package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/attach/sessions"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// Routes of the server's calls.
const (
	routeEcho   = iota // the data comes back
	routeRegion        // asks for the id of memory to write to
)

const (
	// regionBytes is that memory: several writes under way, each to a place of its own.
	writesOut   = 8
	regionBytes = writesOut * writeBytes
	// rpcDeadAfter is longer than any run: a server is stopped while it is not its turn.
	rpcDeadAfter = 24 * 3600 * core.Second
)

// rpcConfig is the transport of both ends.
func rpcConfig(mtu int) transport.Config {
	return transport.Config{
		MTU: mtu, DeadAfter: rpcDeadAfter, KeepAlive: rpcDeadAfter, Outstanding: MaxWindow,
		RenewAfter: rpcDeadAfter,
	}
}

// talk is a runtime that echoes calls and can be written to. It says its key first.
func (p *peer) talk() error {
	rt, err := attach.Open(attach.Options{
		Name: runtimeName, Socket: p.Socket, Direct: p.Direct, Spin: attach.SpinFor(core.Never),
	})
	if err != nil {
		return err
	}
	memory := make([]byte, regionBytes)
	s, err := sessions.Open(rt, sessions.Options{
		Insecure: p.Insecure, Transport: rpcConfig(p.MTU),
	}, func(now core.Time, e *transport.Endpoint, ev transport.Event) {
		if ev.Kind != transport.EventRequest {
			return
		}
		if ev.Route == routeEcho {
			_ = e.Reply(now, ev.Request, nil, ev.Data) // the caller notices
			return
		}
		region, err := e.Register(ev.Session, memory, transport.RightWrite)
		if err == nil {
			_ = e.Reply(now, ev.Request, nil, binary.BigEndian.AppendUint64(nil, uint64(region)))
		}
	})
	if err != nil {
		return err
	}
	key := s.Key()
	if _, err := os.Stdout.Write(key[:]); err != nil {
		return fmt.Errorf("say the key: %w", err)
	}
	return rt.Run(context.Background())
}
