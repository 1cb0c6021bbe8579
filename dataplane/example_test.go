package dataplane_test

import (
	"fmt"
	"net/netip"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/memlink"
)

// dies is the failer of a program that is no test.
type dies struct{}

func (dies) Helper()                           {}
func (dies) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (dies) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// A server that greets whoever sends it a name by UDP. Here its link is a wire in memory; attach
// gives it a port.
func ExampleWorker() {
	s := newServed(dies{}, dataplane.WorkerConfig{}, memlink.Config{})
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
		panic(err)
	}
	for _, b := range s.exchange(dies{}, request(dies{}, "udp4", []byte("bird"))) {
		fmt.Printf("%s\n", b[42:])
	}
	// Output: hello, bird
}
