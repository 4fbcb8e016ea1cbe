#pragma once

#include <hdf5.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace vid2vox::testing {

/// An HDF5 file made for a test.
class Hdf5Maker {
 public:
  explicit Hdf5Maker(const std::filesystem::path& path)
      : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {}
  Hdf5Maker(const Hdf5Maker&) = delete;
  Hdf5Maker& operator=(const Hdf5Maker&) = delete;
  ~Hdf5Maker() { H5Fclose(file_); }

  /// Writes values, stored as `type`; groups in the name are made as needed.
  template <class T>
  void add(const std::string& name, const std::vector<hsize_t>& shape, const std::vector<T>& values,
           hid_t type, hid_t stored_type) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    make(name, space, stored_type, H5P_DEFAULT, [&](hid_t dataset) {
      H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    });
  }

  /// A dataset of float whose values were never written, in chunks, so that it takes no space.
  void add_unwritten(const std::string& name, const std::vector<hsize_t>& shape) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    const std::vector<hsize_t> chunk(shape.size(), 1);
    H5Pset_chunk(layout, static_cast<int>(chunk.size()), chunk.data());
    make(name, space, H5T_NATIVE_FLOAT, layout, [](hid_t) {});
    H5Pclose(layout);
  }

 private:
  template <class Write>
  void make(const std::string& name, hid_t space, hid_t type, hid_t layout, const Write& write) {
    const hid_t groups = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(groups, 1);
    const hid_t dataset = H5Dcreate2(file_, name.c_str(), type, space, groups, layout, H5P_DEFAULT);
    write(dataset);
    H5Dclose(dataset);
    H5Pclose(groups);
    H5Sclose(space);
  }

  hid_t file_;
};

}  // namespace vid2vox::testing
