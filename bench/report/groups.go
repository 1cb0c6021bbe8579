package report

import (
	"fmt"
	"strings"
)

// groups are the rows of times of a Local suite that do the same, as bars: from nanoseconds to
// milliseconds, one chart of distributions has no room for them all. Names are "who/what"; a what
// of which only the end is named, as 64 of pair/64, belongs to the first that ends so.
func (r *Report) groups() []bars {
	classes := r.classes()
	var order []string
	members := map[string][]*Row{}
	for i := range r.Rows {
		row := &r.Rows[i]
		who, what, ok := strings.Cut(row.Name, "/")
		if row.Unit != Nanoseconds || !ok || who == "" {
			continue
		}
		for _, known := range order {
			if strings.HasSuffix(known, "/"+what) {
				what = known
				break
			}
		}
		if members[what] == nil {
			order = append(order, what)
		}
		members[what] = append(members[what], row)
	}
	var all []bars
	for _, what := range order {
		if rows := members[what]; len(rows) > 1 {
			all = append(all, r.group(what, rows, classes))
		}
	}
	return all
}

// group draws rows as parts of the longest.
func (r *Report) group(what string, rows []*Row, classes map[string]string) bars {
	b, most := bars{Unit: fmt.Sprintf("%s, ns", what)}, 0.0
	for _, row := range rows {
		most = max(most, row.P50)
	}
	for _, row := range rows {
		width := 0.0
		if most > 0 {
			width = 100 * row.P50 / most
		}
		b.Lines = append(b.Lines, bar{
			row.Name, classes[row.Name], r.figure(row, row.P50), coordinate(width),
		})
	}
	return b
}
