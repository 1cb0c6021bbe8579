package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/attach"
)

func TestEchoOptions(t *testing.T) {
	tests := []struct {
		options echoOptions
		wanted  []endpoint
		spin    attach.Spin
		fails   string
	}{
		{options: echoOptions{}},
		{options: echoOptions{raw: "0x88B5"}, wanted: []endpoint{{etherType: 0x88b5}}},
		{
			options: echoOptions{raw: "88b6", udp: ports{7, 9}},
			wanted:  []endpoint{{etherType: 0x88b6}, {udp: 7}, {udp: 9}},
		},
		{options: echoOptions{raw: "IPv4"}, fails: `--raw "IPv4"`},
		{options: echoOptions{raw: "0x12345"}, fails: "EtherType in hexadecimal"},
		{options: echoOptions{spin: "50us"}, spin: attach.SpinFor(50 * core.Microsecond)},
		{options: echoOptions{spin: "0s"}, spin: attach.SpinFor(0)},
		{options: echoOptions{spin: "forever"}, spin: attach.SpinFor(core.Never)},
		{options: echoOptions{spin: "50"}, fails: "want a duration"},
		{options: echoOptions{spin: "-1s"}, fails: "want a duration"},
		{options: echoOptions{solo: "eth1"}, fails: "add --raw or --udp"},
		{options: echoOptions{solo: "eth1", udp: ports{7}}, wanted: []endpoint{{udp: 7}}},
		{options: echoOptions{solo: "eth1", udp: ports{7}, reconnect: true}, fails: "--reconnect"},
	}
	for _, test := range tests {
		e, err := test.options.parse()
		if test.fails != "" {
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%+v: got %v, want %q", test.options, err, test.fails)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", test.options, err)
			continue
		}
		if !slices.Equal(e.wanted, test.wanted) || e.attach.Spin != test.spin {
			t.Errorf("%+v: got %v and %v", test.options, e.wanted, e.attach.Spin)
		}
	}
}

func TestPorts(t *testing.T) {
	var p ports
	for _, text := range []string{"7", "8,9"} {
		if err := p.Set(text); err != nil {
			t.Error(err)
		}
	}
	if p.String() != "7,8,9" {
		t.Errorf("got %s", &p)
	}
	for _, text := range []string{"", "0", "65536", "-1", "7,", "x"} {
		if p.Set(text) == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
