package control

import (
	"net/netip"
	"strings"
	"testing"
)

func policy() Policy {
	return Policy{
		Rules: []Rule{
			{Runtime: "echo", UIDs: []uint32{65534}, Endpoints: []Endpoint{
				{EtherType: 0x88B5},
				{UDP: 7777},
				{UDP: 7778, Address: netip.MustParseAddr("10.0.0.1")},
			}},
			{
				Runtime: "team", GIDs: []uint32{100, 200}, AllowDirect: true,
				Endpoints: []Endpoint{{UDP: 53}},
			},
			{Runtime: "batch", UIDs: []uint32{65534}, Guest: true, Lent: true, Cores: 3},
		},
		StatusUIDs: []uint32{1001},
		StatusGIDs: []uint32{300},
	}
}

func TestPolicyAttach(t *testing.T) {
	echo := Credentials{UID: 65534, GID: 65534}
	for _, test := range []struct {
		name  string
		who   Credentials
		hello Hello
		want  string // part of the refusal; empty: permitted
	}{
		{"by user", echo, Hello{Runtime: "echo", Mode: Mediated}, ""},
		{"by group", Credentials{UID: 7, GID: 100}, Hello{Runtime: "team", Mode: Mediated}, ""},
		{
			"by supplementary group",
			Credentials{UID: 7, GID: 7, Groups: []uint32{5, 200}},
			Hello{Runtime: "team", Mode: Mediated},
			"",
		},
		{"direct", Credentials{UID: 7, GID: 100}, Hello{Runtime: "team", Mode: Direct}, ""},

		{
			"wrong user",
			Credentials{UID: 65533, GID: 65534},
			Hello{Runtime: "echo", Mode: Mediated},
			`uid 65533 (gid 65534) is not in uids or gids of runtime "echo"`,
		},
		{
			"a uid is not a gid",
			Credentials{UID: 100, GID: 7},
			Hello{Runtime: "team", Mode: Mediated},
			`it may attach as nothing`,
		},
		{
			"a gid is not a uid",
			Credentials{UID: 7, GID: 65534},
			Hello{Runtime: "echo", Mode: Mediated},
			`not in uids or gids`,
		},
		{
			"root is nobody special",
			Credentials{},
			Hello{Runtime: "echo", Mode: Mediated},
			"not in uids or gids",
		},
		{"guest", echo, Hello{Runtime: "batch", Mode: Guest}, ""},
		{"guest of no class", echo, Hello{Runtime: "echo", Mode: Guest}, "runtime of class be"},
		{"as many cores as there are", echo, Hello{Runtime: "batch", Mode: Mediated, Cores: 3}, ""},
		{
			"more cores than there are", echo,
			Hello{Runtime: "batch", Mode: Mediated, Cores: 4},
			`runtime "batch" asks for 4 cores and can get 3 at most`,
		},
		{"fewer cores than none", echo, Hello{Runtime: "batch", Mode: Guest, Cores: -1}, "-1 cores"},
		{"cores that come and go, direct", echo, Hello{Runtime: "batch", Mode: Direct}, "direct mode"},
		{"somebody else's name", echo, Hello{Runtime: "team", Mode: Mediated}, "it may attach as echo, batch"},
		{
			"no such runtime", echo,
			Hello{Runtime: "ecko", Mode: Mediated},
			`no runtime "ecko" in the iokernel's configuration; uid 65534 may attach as echo, batch`,
		},
		{"no name", echo, Hello{Mode: Mediated}, `no runtime ""`},
		{"direct not allowed", echo, Hello{Runtime: "echo", Mode: Direct}, "allow_direct"},
		{"no mode", echo, Hello{Runtime: "echo"}, `mode "": want`},

		{"EtherType", echo, Hello{Runtime: "echo", Mode: Mediated, Endpoints: []Endpoint{{EtherType: 0x88B5}}}, ""},
		{"port", echo, Hello{Runtime: "echo", Mode: Mediated, Endpoints: []Endpoint{{UDP: 7777}}}, ""},
		{"port at an address", echo, Hello{
			Runtime: "echo", Mode: Mediated,
			Endpoints: []Endpoint{{UDP: 7777, Address: netip.MustParseAddr("10.0.0.9")}},
		}, ""},
		{"port at its address", echo, Hello{
			Runtime: "echo", Mode: Mediated,
			Endpoints: []Endpoint{{UDP: 7778, Address: netip.MustParseAddr("10.0.0.1")}},
		}, ""},
		{"port wherever it is", echo, Hello{Runtime: "echo", Mode: Mediated, Endpoints: []Endpoint{{UDP: 7778}}}, ""},
		{
			"port at another address", echo,
			Hello{
				Runtime: "echo", Mode: Mediated,
				Endpoints: []Endpoint{{UDP: 7778, Address: netip.MustParseAddr("10.0.0.2")}},
			},
			`UDP 10.0.0.2:7778 is not among the endpoints of runtime "echo"`,
		},
		{
			"another port", echo,
			Hello{Runtime: "echo", Mode: Mediated, Endpoints: []Endpoint{{UDP: 7777}, {UDP: 53}}},
			"UDP port 53 is not among",
		},
		{
			"another EtherType", echo,
			Hello{Runtime: "echo", Mode: Mediated, Endpoints: []Endpoint{{EtherType: 0x88B6}}},
			"EtherType 0x88B6 is not among",
		},
		{"both", echo, Hello{Runtime: "echo", Mode: Mediated, Endpoints: []Endpoint{{EtherType: 0x88B5, UDP: 7777}}}, "not among"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refusal := policy().Attach(test.who, test.hello)
			switch {
			case test.want == "" && refusal != nil:
				t.Errorf("refused: %v", refusal)
			case test.want != "" && refusal == nil:
				t.Error("permitted")
			case test.want != "" && !strings.Contains(refusal.Message, test.want):
				t.Errorf("%q, want %q", refusal.Message, test.want)
			}
		})
	}
}

func TestPolicyConnectAndStatus(t *testing.T) {
	for _, test := range []struct {
		name            string
		who             Credentials
		connect, status bool
	}{
		{"root", Credentials{}, true, true},
		{"runtime", Credentials{UID: 65534, GID: 65534}, true, false},
		{"runtime by group", Credentials{UID: 7, GID: 7, Groups: []uint32{200}}, true, false},
		{"operator", Credentials{UID: 1001, GID: 7}, true, true},
		{"operator by group", Credentials{UID: 7, GID: 300}, true, true},
		{"operator by supplementary group", Credentials{UID: 7, GID: 7, Groups: []uint32{300}}, true, true},
		{"stranger", Credentials{UID: 7, GID: 0, Groups: []uint32{0, 1001, 65534}}, false, false},
	} {
		if got := policy().Connect(test.who) == nil; got != test.connect {
			t.Errorf("%s may connect: %v, want %v", test.name, got, test.connect)
		}
		if got := policy().Status(test.who) == nil; got != test.status {
			t.Errorf("%s may see the status: %v, want %v", test.name, got, test.status)
		}
	}
}
