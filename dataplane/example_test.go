package dataplane_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
)

// A server that greets whoever sends it a name by UDP. Here its link is a wire in memory; attach
// gives it a port.
func ExampleWorker() {
	s := newServed(&testing.T{}, dataplane.WorkerConfig{}, memlink.Config{})
	err := s.worker.HandleUDP(netip.AddrPortFrom(netip.Addr{}, servicePort),
		func(r *dataplane.Request) {
			reply := r.Reply(r.MaxReply())
			if reply == nil {
				return // counted
			}
			n := copy(reply, "hello, ")
			n += copy(reply[n:], r.Payload())
			r.Trim(n)
		})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, b := range s.exchange(&testing.T{}, request(&testing.T{}, "udp4", []byte("bird"))) {
		fmt.Printf("%s\n", b[42:])
	}
	// Output: hello, bird
}
