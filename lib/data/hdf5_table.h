/* SPDX-License-Identifier: BSD-3-Clause */
/* The HDF5 library, which is loaded when the first data set is opened. Nothing is linked with it: what is
 * used of it stands in this list, and is called through `hdf5`: hdf5.H5Fopen(…). The public names of types
 * and classes, like H5T_NATIVE_INT8, are variables in disguise: *hdf5.H5T_NATIVE_INT8_g. For data/ only. */
#ifndef DATA_HDF5_TABLE_H
#define DATA_HDF5_TABLE_H

#include <hdf5.h>

#include "base/library.h"

/* Constants like H5F_ACC_RDONLY call these before they have their value: hdf5_load() has done so. */
#undef H5CHECK
#undef H5OPEN
#define H5CHECK
#define H5OPEN

/* HDF5 1.12 has given it another name. */
#if H5_VERSION_GE(1, 12, 0)
#define HDF5_GET_LINK_INFO H5Lget_info2
typedef H5L_info2_t hdf5_link_info;
#define HDF5_ITERATE_LINKS     H5Literate2
#define HDF5_LINK_INFO(ENTRY)  ENTRY(H5Lget_info2) ENTRY(H5Literate2)
#define HDF5_LINK_TARGET(info) ((info)->u.token)
#else
#define HDF5_GET_LINK_INFO     H5Lget_info
typedef H5L_info_t hdf5_link_info;
#define HDF5_ITERATE_LINKS     H5Literate
#define HDF5_LINK_INFO(ENTRY)  ENTRY(H5Lget_info) ENTRY(H5Literate)
#define HDF5_LINK_TARGET(info) ((info)->u.address)
#endif

#define HDF5_SYMBOLS(ENTRY)                 \
    ENTRY(H5open)                           \
    ENTRY(H5get_libversion)                 \
    ENTRY(H5Adelete)                        \
    ENTRY(H5Acreate2)                       \
    ENTRY(H5Aexists)                        \
    ENTRY(H5Aget_space)                     \
    ENTRY(H5Aget_type)                      \
    ENTRY(H5Aiterate2)                      \
    ENTRY(H5Aopen)                          \
    ENTRY(H5Aopen_by_name)                  \
    ENTRY(H5Aread)                          \
    ENTRY(H5Awrite)                         \
    ENTRY(H5Dclose)                         \
    ENTRY(H5Dcreate2)                       \
    ENTRY(H5Dget_chunk_info)                \
    ENTRY(H5Dget_chunk_storage_size)        \
    ENTRY(H5Dget_create_plist)              \
    ENTRY(H5Dget_num_chunks)                \
    ENTRY(H5Dget_offset)                    \
    ENTRY(H5Dget_space)                     \
    ENTRY(H5Dget_type)                      \
    ENTRY(H5dont_atexit)                    \
    ENTRY(H5Dopen2)                         \
    ENTRY(H5Dread)                          \
    ENTRY(H5Dread_chunk)                    \
    ENTRY(H5Dset_extent)                    \
    ENTRY(H5Dvlen_reclaim)                  \
    ENTRY(H5Dwrite)                         \
    ENTRY(H5Dwrite_chunk)                   \
    ENTRY(H5Eget_auto2)                     \
    ENTRY(H5Eset_auto2)                     \
    ENTRY(H5Ewalk2)                         \
    ENTRY(H5Fclose)                         \
    ENTRY(H5Fcreate)                        \
    ENTRY(H5Fflush)                         \
    ENTRY(H5FD_sec2_init)                   \
    ENTRY(H5Fget_access_plist)              \
    ENTRY(H5Fget_name)                      \
    ENTRY(H5Fget_vfd_handle)                \
    ENTRY(H5Fis_hdf5)                       \
    ENTRY(H5Fopen)                          \
    ENTRY(H5Fstart_swmr_write)              \
    ENTRY(H5free_memory)                    \
    ENTRY(H5Gclose)                         \
    ENTRY(H5Gcreate2)                       \
    ENTRY(H5Gget_info)                      \
    ENTRY(H5Gopen2)                         \
    ENTRY(H5Idec_ref)                       \
    ENTRY(H5Iget_file_id)                   \
    ENTRY(H5Iget_name)                      \
    ENTRY(H5Iget_type)                      \
    ENTRY(H5Ldelete)                        \
    ENTRY(H5Lexists)                        \
    ENTRY(H5Lget_name_by_idx)               \
    ENTRY(H5Lget_val)                       \
    ENTRY(H5Lunpack_elink_val)              \
    ENTRY(H5Oclose)                         \
    ENTRY(H5Oopen)                          \
    ENTRY(H5Pclose)                         \
    ENTRY(H5Pcreate)                        \
    ENTRY(H5Pget_chunk)                     \
    ENTRY(H5Pget_chunk_opts)                \
    ENTRY(H5Pget_driver)                    \
    ENTRY(H5Pget_external)                  \
    ENTRY(H5Pget_external_count)            \
    ENTRY(H5Pget_filter2)                   \
    ENTRY(H5Pget_layout)                    \
    ENTRY(H5Pget_nfilters)                  \
    ENTRY(H5Pget_virtual_count)             \
    ENTRY(H5Pget_virtual_dsetname)          \
    ENTRY(H5Pget_virtual_filename)          \
    ENTRY(H5Pset_alloc_time)                \
    ENTRY(H5Pset_attr_creation_order)       \
    ENTRY(H5Pset_char_encoding)             \
    ENTRY(H5Pset_chunk)                     \
    ENTRY(H5Pset_chunk_cache)               \
    ENTRY(H5Pset_fapl_core)                 \
    ENTRY(H5Pset_create_intermediate_group) \
    ENTRY(H5Pset_file_locking)              \
    ENTRY(H5Pset_fill_value)                \
    ENTRY(H5Pset_filter)                    \
    ENTRY(H5Pset_fill_time)                 \
    ENTRY(H5Pset_layout)                    \
    ENTRY(H5Pset_libver_bounds)             \
    ENTRY(H5Pset_link_creation_order)       \
    ENTRY(H5Pset_obj_track_times)           \
    ENTRY(H5Pset_vlen_mem_manager)          \
    ENTRY(H5Pset_shuffle)                   \
    ENTRY(H5Rcreate)                        \
    ENTRY(H5Rdereference2)                  \
    ENTRY(H5Sclose)                         \
    ENTRY(H5Screate)                        \
    ENTRY(H5Screate_simple)                 \
    ENTRY(H5Sget_simple_extent_dims)        \
    ENTRY(H5Sget_simple_extent_ndims)       \
    ENTRY(H5Sget_simple_extent_npoints)     \
    ENTRY(H5Sget_simple_extent_type)        \
    ENTRY(H5Sselect_hyperslab)              \
    ENTRY(H5Sset_extent_simple)             \
    ENTRY(H5Tarray_create2)                 \
    ENTRY(H5Tclose)                         \
    ENTRY(H5Tcommit2)                       \
    ENTRY(H5Tconvert)                       \
    ENTRY(H5Tcopy)                          \
    ENTRY(H5Tcreate)                        \
    ENTRY(H5Tdetect_class)                  \
    ENTRY(H5Tequal)                         \
    ENTRY(H5Tget_array_dims2)               \
    ENTRY(H5Tget_array_ndims)               \
    ENTRY(H5Tget_class)                     \
    ENTRY(H5Tget_cset)                      \
    ENTRY(H5Tget_member_index)              \
    ENTRY(H5Tget_member_name)               \
    ENTRY(H5Tget_member_type)               \
    ENTRY(H5Tget_native_type)               \
    ENTRY(H5Tget_nmembers)                  \
    ENTRY(H5Tget_order)                     \
    ENTRY(H5Tget_sign)                      \
    ENTRY(H5Tget_size)                      \
    ENTRY(H5Tget_super)                     \
    ENTRY(H5Tget_tag)                       \
    ENTRY(H5Tinsert)                        \
    ENTRY(H5Tis_variable_str)               \
    ENTRY(H5Tset_cset)                      \
    ENTRY(H5Tset_size)                      \
    ENTRY(H5Tvlen_create)                   \
    ENTRY(H5Zfilter_avail)                  \
    ENTRY(H5P_CLS_DATASET_ACCESS_ID_g)      \
    ENTRY(H5P_CLS_DATASET_CREATE_ID_g)      \
    ENTRY(H5P_CLS_DATASET_XFER_ID_g)        \
    ENTRY(H5P_CLS_DATATYPE_CREATE_ID_g)     \
    ENTRY(H5P_CLS_FILE_ACCESS_ID_g)         \
    ENTRY(H5P_CLS_FILE_CREATE_ID_g)         \
    ENTRY(H5P_CLS_GROUP_CREATE_ID_g)        \
    ENTRY(H5P_CLS_LINK_CREATE_ID_g)         \
    ENTRY(H5T_C_S1_g)                       \
    ENTRY(H5T_IEEE_F32BE_g)                 \
    ENTRY(H5T_NATIVE_INT8_g)                \
    ENTRY(H5T_NATIVE_INT16_g)               \
    ENTRY(H5T_NATIVE_INT32_g)               \
    ENTRY(H5T_NATIVE_INT64_g)               \
    ENTRY(H5T_NATIVE_UINT8_g)               \
    ENTRY(H5T_NATIVE_UINT16_g)              \
    ENTRY(H5T_NATIVE_UINT32_g)              \
    ENTRY(H5T_NATIVE_UINT64_g)              \
    ENTRY(H5T_NATIVE_FLOAT_g)               \
    ENTRY(H5T_NATIVE_DOUBLE_g)              \
    ENTRY(H5T_STD_REF_OBJ_g)                \
    ENTRY(H5T_NATIVE_B8_g)                  \
    ENTRY(H5T_NATIVE_B16_g)                 \
    ENTRY(H5T_NATIVE_B32_g)                 \
    ENTRY(H5T_NATIVE_B64_g)                 \
    HDF5_LINK_INFO(ENTRY)

extern struct hdf5_table {
    HDF5_SYMBOLS(LIBRARY_MEMBER)
} hdf5;

/* Loads HDF5 into this process, if it is not there yet. Before it has returned 0 once nothing else here may
 * be used. MPM_ENOENT if there is none, MPM_EBUILD if it is not the right one. From any thread. */
int hdf5_load(void);

#endif
