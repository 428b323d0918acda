package country

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/oschwald/maxminddb-golang"
)

// maxFile bounds a file: the largest databases that tell countries have about 100 MiB.
const maxFile = 512 << 20

// File is a database of countries. It may be used by any number of goroutines.
type File struct{ db *maxminddb.Reader }

// Open reads a file of the MaxMind DB format, such as GeoLite2-Country.mmdb or GeoLite2-City.mmdb. It is read into memory,
// so that a file that is replaced or cut off meanwhile does no harm.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open geoip: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read geoip: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("read geoip: %s is longer than %d bytes", path, maxFile)
	}
	c, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read geoip: %s is no MaxMind database (such as GeoLite2-Country.mmdb): %w", path, err)
	}
	return c, nil
}

func parse(data []byte) (*File, error) {
	db, err := maxminddb.FromBytes(data)
	if err != nil {
		return nil, err
	}
	return &File{db}, nil
}

// Of returns the country of an address as ISO 3166-1 has it, in two upper-case letters; "" if the file does not know.
func (f *File) Of(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	var found struct {
		Country struct {
			Code string `maxminddb:"iso_code"`
		} `maxminddb:"country"`
	}
	if err := f.db.Lookup(net.IP(a.Unmap().WithZone("").AsSlice()), &found); err != nil {
		return "" // an address of a kind that the file does not have, or a damaged file
	}
	return found.Country.Code
}
