package fabric

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

func script() Script {
	return Script{
		Seed: 7, Hosts: 3,
		Cables: []Cable{{Host: 1, Out: Port{Rate: 1e9, Queue: 1e6}}},
		Steps: []Step{
			{From: 0, To: 1, Faults: fault.Config{Loss: 1}},
			{At: 1000, From: 0, To: 1, MTU: 100},
			{At: 2000, From: 0, To: 1, Cut: 3000},
			{At: 2500, From: 0, To: 2, Cut: core.Never},
		},
	}
}

func TestScriptHappens(t *testing.T) {
	l := sim.NewLoop()
	n, err := Play(l, script())
	if err != nil {
		t.Fatal(err)
	}
	to := &inbox{}
	for h := range 3 {
		n.Attach(h, to)
	}
	for _, tt := range []struct {
		at     core.Time
		to     int
		length int
		want   int
	}{
		{500, 1, 60, 0},
		{1500, 1, 101, 0},
		{1500, 1, 100, 1},
		{2200, 1, 60, 0},
		{2200, 2, 60, 1},
		{3500, 1, 200, 1},
		{3500, 2, 60, 0},
	} {
		l.Run(tt.at)
		before := len(to.frames)
		n.Send(l.Now(), 0, tt.to, numbered(0, tt.length))
		l.Run(tt.at)
		if got := len(to.frames) - before; got != tt.want {
			t.Errorf("at %d, %d bytes to %d: %d arrive, want %d", tt.at, tt.length, tt.to, got, tt.want)
		}
	}
}

func TestScriptAsText(t *testing.T) {
	var text bytes.Buffer
	if err := WriteScript(&text, script()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadScript(&text)
	if err != nil || !reflect.DeepEqual(got, script()) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, bad := range map[string]string{
		"no hosts":         `{"Seed": 1}`,
		"unknown word":     `{"Hosts": 2, "Sedes": 1}`,
		"unknown host":     `{"Hosts": 2, "Steps": [{"From": 0, "To": 2}]}`,
		"wrong loss":       `{"Hosts": 2, "Steps": [{"From": 0, "To": 1, "Faults": {"Loss": 2}}]}`,
		"absurd rate":      `{"Hosts": 2, "Cables": [{"Host": 0, "Out": {"Rate": 1000000000000000}}]}`,
		"no script at all": `loss 0.1`,
	} {
		if _, err := ReadScript(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func TestPairOfScript(t *testing.T) {
	s := script()
	pair := s.Pair(1, 0)
	if len(pair.Cables) != 1 || pair.Cables[0].Host != 0 || len(pair.Steps) != 3 ||
		pair.Steps[0].From != 1 || pair.Steps[0].To != 0 || pair.Hosts != 2 || pair.Seed != 7 {
		t.Errorf("%+v", pair)
	}
	if err := pair.Validate(); err != nil {
		t.Error(err)
	}
}
