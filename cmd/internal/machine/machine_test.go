package machine

import (
	"slices"
	"testing"
)

func TestCapabilities(t *testing.T) {
	s, err := parseEffective("Name:\tx\nCapInh:\t0\nCapEff:\t0000008000003000\nSeccomp:\t0\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []Capability{IPCLock, SysAdmin}
	if got := s.Lacks(NetAdmin, NetRaw, BPF, IPCLock, SysAdmin); !slices.Equal(got, want) {
		t.Errorf("lacks %v, want %v", got, want)
	}
	if !Capabilities(1 << SysAdmin).Has(BPF) {
		t.Error("CAP_SYS_ADMIN does not stand for CAP_BPF")
	}
	for _, text := range []string{"", "CapEff:\tx\n"} {
		if _, err := parseEffective(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if SysNice.String() != "CAP_SYS_NICE" || Kill.String() != "CAP_KILL" {
		t.Errorf("got %v and %v", SysNice, Kill)
	}
	if BPF.String() != "CAP_BPF" || Capability(1).String() != "capability 1" {
		t.Errorf("got %v and %v", BPF, Capability(1))
	}
}

func TestRelease(t *testing.T) {
	for text, want := range map[string]Release{
		"6.18.44-fc": {6, 18}, "5.15.0-91-generic": {5, 15}, "4.9": {4, 9}, "7.0-rc1": {7, 0},
	} {
		if got, err := parseRelease(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	if _, err := parseRelease("GNU"); err == nil {
		t.Error("GNU was read as a release")
	}
	order := []Release{{4, 19}, {5, 4}, {5, 15}, {6, 1}}
	for i, r := range order[1:] {
		if !order[i].Before(r) || r.Before(order[i]) || r.Before(r) {
			t.Errorf("order of %v and %v", order[i], r)
		}
	}
}

func TestThisMachine(t *testing.T) {
	if _, err := Effective(); err != nil {
		t.Error(err)
	}
	r, text, err := Kernel()
	if err != nil || r.Before(Release{4, 0}) {
		t.Errorf("got %v out of %q, %v", r, text, err)
	}
}
