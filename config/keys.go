package config

// Keys lists every key that the file may hold, as a path such as "sell.rules.price". What belongs to an entry of a list has
// the path of the list. A key that takes one of a few words is followed by one entry for each, such as
// "sell.rules.legacy: serve".
func Keys() []string {
	var found []string
	var walk func(options []option, path string)
	walk = func(options []option, path string) {
		for _, o := range options {
			at := join(path, o.key)
			found = append(found, at)
			for _, w := range o.words {
				found = append(found, at+": "+w)
			}
			walk(o.options, at)
			if o.item != nil {
				of, _ := o.item(0, 0)
				walk(of, at)
			}
		}
	}
	walk(schema(&parser{}, &Config{}), "")
	return found
}
